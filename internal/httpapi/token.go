package httpapi

import (
	"fmt"
	"hash/crc32"
	"maps"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/torc-io/torc/ring"
)

// token names a plan so that it can be made again, and checked to be the same:
//
//	Q4T2KDBX@12-3f2a91bc:down=e,join=d,leave=b,replace=a=f
//	cluster  │  │        what was asked for
//	     epoch  sum of the ring that it leads to
//
// It can be read, stands in a command line without quotes, and is all that there
// is of a plan between planning and committing: no node keeps plans.
type token struct {
	cluster string // the first bytes of its id
	epoch   ring.Epoch
	sum     uint32
	asked   PlanRequest
}

// clusterBytes of a cluster's id tell two clusters of an operator apart.
const clusterBytes = 8

// rebalance stands for a plan without any change.
const rebalance = "rebalance"

func tokenOf(asked PlanRequest, p *ring.Plan) token {
	return token{prefixOf(p.Before), p.Before.Epoch(), sumOf(p), asked}
}

func prefixOf(r *ring.Ring) string { return r.ClusterID()[:min(clusterBytes, len(r.ClusterID()))] }

// sumOf tells apart the plans that two versions of the program may make.
func sumOf(p *ring.Plan) uint32 {
	next, sum := p.Next.State(), crc32.NewIEEE()
	_, _ = fmt.Fprint(sum, next.Members, next.Owners, next.Transfers) // a hash takes everything
	return sum.Sum32()
}

// String writes the token.
func (t token) String() string {
	var words []string
	add := func(verb string, names []ring.NodeName) {
		for _, name := range slices.Sorted(slices.Values(names)) {
			words = append(words, verb+"="+url.QueryEscape(string(name)))
		}
	}
	add("down", t.asked.Down)
	add("join", t.asked.Join)
	add("leave", t.asked.Leave)
	for _, old := range slices.Sorted(maps.Keys(t.asked.Replace)) {
		words = append(words, "replace="+url.QueryEscape(string(old))+"="+url.QueryEscape(string(t.asked.Replace[old])))
	}
	if len(words) == 0 {
		words = []string{rebalance}
	}
	return fmt.Sprintf("%s@%d-%08x:%s", url.QueryEscape(t.cluster), t.epoch, t.sum, strings.Join(words, ","))
}

var tokenForm = regexp.MustCompile(`^([^@]*)@(\d+)-([0-9a-f]{8}):(.+)$`)

// parseToken reads a token.
func parseToken(text string) (token, error) {
	parts := tokenForm.FindStringSubmatch(text)
	if parts == nil {
		return token{}, fmt.Errorf("%.100q is none: a plan prints its own, such as Q4T2KDBX@12-3f2a91bc:join=d", text)
	}
	cluster, wrongCluster := url.QueryUnescape(parts[1])
	epoch, wrongEpoch := strconv.ParseUint(parts[2], 10, 64)
	sum, _ := strconv.ParseUint(parts[3], 16, 32) // eight digits always fit
	if wrongCluster != nil || wrongEpoch != nil {
		return token{}, fmt.Errorf("%.100q is none", text)
	}
	t := token{cluster: cluster, epoch: ring.Epoch(epoch), sum: uint32(sum)}
	t.asked.Join = []ring.NodeName{}
	if parts[4] == rebalance {
		return t, nil
	}
	for word := range strings.SplitSeq(parts[4], ",") {
		if err := t.asked.add(word); err != nil {
			return token{}, err
		}
	}
	return t, nil
}

// add takes one change as a token has it.
func (q *PlanRequest) add(word string) error {
	verb, text, _ := strings.Cut(word, "=")
	first, second, two := strings.Cut(text, "=")
	name, err := nameFrom(first)
	if err != nil || two != (verb == "replace") {
		return fmt.Errorf("%q is no change", word)
	}
	switch verb {
	case "down":
		q.Down = append(q.Down, name)
	case "join":
		q.Join = append(q.Join, name)
	case "leave":
		q.Leave = append(q.Leave, name)
	case "replace":
		heir, err := nameFrom(second)
		if err != nil {
			return fmt.Errorf("%q is no change", word)
		}
		if q.Replace == nil {
			q.Replace = map[ring.NodeName]ring.NodeName{}
		}
		q.Replace[name] = heir
	default:
		return fmt.Errorf("%q is none of down, join, leave and replace", verb)
	}
	return nil
}

func nameFrom(escaped string) (ring.NodeName, error) {
	name, err := url.QueryUnescape(escaped)
	if err == nil && name == "" {
		err = errNoMember
	}
	return ring.NodeName(name), err
}

// plan makes the plan again, on the ring that it was made on.
func (t token) plan(r *ring.Ring) (*ring.Plan, error) {
	switch {
	case prefixOf(r) != t.cluster:
		return nil, stalef("it is for cluster %s, this is %s", t.cluster, prefixOf(r))
	case r.Epoch() < t.epoch:
		return nil, fmt.Errorf("%w: planned at epoch %d, and this node has only seen epoch %d yet", errBehind, t.epoch, r.Epoch())
	case r.Epoch() > t.epoch:
		return nil, stalef("planned at epoch %d, the ring is at %d", t.epoch, r.Epoch())
	}
	plan, err := t.asked.on(r)
	if err != nil {
		return nil, err
	}
	if sum := sumOf(plan); sum != t.sum {
		return nil, stalef("this node would plan otherwise: %08x instead of %08x", sum, t.sum)
	}
	return plan, nil
}
