package main

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	torc "github.com/torc-io/torc"
)

// watch stores and fetches keys again and again, and prints a line each time that
// other nodes answer than before. It ends when the node has got its partitions, or
// has given them away; or with the first answer that is wrong.
func (s service) watch(ctx context.Context, keys int, node torc.NodeName) (string, error) {
	before, last := s.owns(node), ""
	for round, over := 0, false; !over; round++ {
		over = s.owns(node) != before && len(s.node.Ring().Transfers()) == 0
		line, err := s.round(ctx, keys, strconv.Itoa(round))
		if err != nil {
			return "", err
		}
		if line != last {
			fmt.Println(line)
			last = line
		}
	}
	return "every answer was right", nil
}

// owns says whether the node owns any partition.
func (s service) owns(node torc.NodeName) bool {
	for range s.node.Ring().Owned(node) {
		return true
	}
	return false
}

// round stores data under each key, fetches it, and counts who answered.
func (s service) round(ctx context.Context, keys int, data string) (string, error) {
	answered := map[string]int{}
	for i := range keys {
		node, err := s.try(ctx, strconv.Itoa(i), data)
		if err != nil {
			return "", err
		}
		answered[node]++
	}
	var line []string
	for _, node := range slices.Sorted(maps.Keys(answered)) {
		line = append(line, fmt.Sprintf("%s answers for %d", node, answered[node]))
	}
	return strings.Join(line, ", "), nil
}

// try stores data, and returns the node that had it when it was fetched.
func (s service) try(ctx context.Context, key, data string) (string, error) {
	if _, err := s.Store(ctx, key, data); err != nil {
		return "", err
	}
	answer, err := s.Fetch(ctx, key)
	if err != nil {
		return "", err
	}
	if got := answer.GetEntry().GetData(); got != data {
		return "", fmt.Errorf("under %s is %s, and %s was stored", key, got, data)
	}
	return answer.GetNode(), nil
}
