package main

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"
)

// load is what one machine must carry.
type load struct {
	clients, rooms int
	rate           int // lines a second at most, in all rooms together
	lines          int
}

// mostFlying is how many lines may be on their way at once: a machine that is too
// slow for the rate gets fewer, and no queue that grows until nodes miss each other.
const mostFlying = 20

// TestAThousandClients prints how long a line takes from the keyboard of one client
// to the screens of the 20 of its room, all on this machine: three nodes, their
// clients, and the network between. Every line must reach every screen, once.
func TestAThousandClients(t *testing.T) {
	l := load{1000, 50, 200, 800}
	if testing.Short() || raceEnabled {
		l = load{200, 10, 100, 100}
	}
	c := startCluster(t, 3)
	clients := l.crowd(t, c.addresses())
	var readers sync.WaitGroup
	delays := make([][]time.Duration, l.clients)
	flying := make(chan struct{}, mostFlying*l.clients/l.rooms) // a line to each of its room
	for i, one := range clients {
		readers.Go(func() { delays[i] = one.delays(l.lines/l.rooms, flying) })
	}
	began := time.Now()
	for i := range l.lines {
		<-time.After(time.Until(began.Add(time.Duration(i) * time.Second / time.Duration(l.rate))))
		for range l.clients / l.rooms {
			flying <- struct{}{}
		}
		// Each line of a room is said by another of its members.
		one := clients[(i%l.rooms)+(i/l.rooms)*l.rooms]
		one.types(fmt.Sprintf("say room%d %d %d", i%l.rooms, i, time.Now().UnixNano()))
	}
	said := time.Since(began)
	readers.Wait()
	all := slices.Concat(delays...)
	slices.Sort(all)
	if len(all) != l.lines*l.clients/l.rooms {
		t.Fatalf("%d deliveries, want %d", len(all), l.lines*l.clients/l.rooms)
	}
	t.Logf("%d clients in %d rooms, %.0f lines a second: delivery p50 %v, p99 %v, longest %v",
		l.clients, l.rooms, float64(l.lines)/said.Seconds(),
		all[len(all)/2].Round(10*time.Microsecond), all[len(all)*99/100].Round(10*time.Microsecond), all[len(all)-1].Round(10*time.Microsecond))
}

// crowd connects clients to all nodes, in turns to all rooms, and returns when
// nothing is on its way to them any more.
func (l load) crowd(t *testing.T, addresses []string) []*client {
	t.Helper()
	clients := make([]*client, l.clients)
	var wg sync.WaitGroup
	for room := range l.rooms {
		wg.Go(func() {
			for i := room; i < l.clients; i += l.rooms {
				clients[i] = enters(t, addresses[i%len(addresses)], fmt.Sprint("user", i), fmt.Sprint("room", room))
			}
			for i := room; i < l.clients; i += l.rooms {
				for range (l.clients - 1 - i) / l.rooms { // all that came later
					clients[i].next()
				}
			}
		})
	}
	wg.Wait()
	return clients
}

// delays reads a number of lines, each of which says when it was said, and a last
// one, which is the answer to a question. Each line is taken off those that fly,
// the ones that it does not read too.
func (c *client) delays(lines int, flying <-chan struct{}) (all []time.Duration) {
	seen := map[string]bool{}
	defer func() {
		for range lines - len(all) {
			<-flying
		}
	}()
	for len(all) < lines {
		line, _ := c.next()
		at := time.Now().UnixNano()
		said, err := strconv.ParseInt(line[strings.LastIndex(line, " ")+1:], 10, 64)
		if err != nil || seen[line] {
			c.t.Errorf("%s sees %q (again: %v)", c.name, line, seen[line])
			return all
		}
		seen[line] = true
		<-flying
		all = append(all, time.Duration(at-said))
	}
	c.seesNothing()
	return all
}
