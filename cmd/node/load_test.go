package main

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"
	"slices"
	"sync"
	"testing"
	"time"
)

const (
	// loaders each write and read, one request at a time.
	loaders = 4
	// loadEvery paces a loader: 4 of them make 200 requests a second, which two
	// cores carry beside three members.
	loadEvery = 20 * time.Millisecond
)

// steadyLoad is a stream of writes, each of which is read back from another
// member.
type steadyLoad struct {
	t     *testing.T
	at    []string // HTTP addresses
	write string   // the query of writes
	read  string
	halt  context.CancelFunc
	ended sync.WaitGroup

	mu     sync.Mutex
	took   []time.Duration // of this phase's requests
	failed []error
}

// startLoad begins, with n replicas of which most must answer.
func startLoad(t *testing.T, n int, at ...string) *steadyLoad {
	ctx, cancel := context.WithCancel(context.Background())
	l := &steadyLoad{t: t, at: at, halt: cancel}
	l.write, l.read = fmt.Sprintf("?n=%d&w=%d", n, n/2+1), fmt.Sprintf("?n=%d&r=%d", n, n/2+1)
	for i := range loaders {
		l.ended.Go(func() { l.run(ctx, i) })
	}
	t.Cleanup(func() { cancel(); l.ended.Wait() })
	return l
}

// run writes and reads until ctx ends; what is in flight then is finished.
func (l *steadyLoad) run(ctx context.Context, loader int) {
	tick := time.NewTicker(loadEvery)
	defer tick.Stop()
	for i := 0; ; i++ {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		path, value := fmt.Sprintf("/api/store/%d-%d", loader, i/2%100), fmt.Sprint(i/2)
		if i%2 == 0 {
			l.request(http.MethodPut, l.at[(loader+i/2)%len(l.at)], path+l.write, value)
		} else {
			l.request(http.MethodGet, l.at[(loader+i/2+1)%len(l.at)], path+l.read, value)
		}
	}
}

// request sends one, and notes how it went.
func (l *steadyLoad) request(method, at, path, value string) {
	began := time.Now()
	err := send(method, "http://"+at+path, value)
	l.mu.Lock()
	defer l.mu.Unlock()
	l.took = append(l.took, time.Since(began))
	if err != nil {
		l.failed = append(l.failed, fmt.Errorf("%s %s%s after %v: %w", method, at, path, time.Since(began), err))
	}
}

func send(method, url, value string) error {
	request, err := http.NewRequest(method, url, bytes.NewReader([]byte(value)))
	if err != nil {
		return err
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return err
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	switch {
	case err != nil:
		return err
	case response.StatusCode != http.StatusOK:
		return fmt.Errorf("%s: %s", response.Status, body)
	case method == http.MethodGet && string(body) != value:
		return fmt.Errorf("read %q, and %q was acknowledged", body, value)
	}
	return nil
}

// phase lets the load go on for a time, and wants that nothing failed in it. How
// long requests took goes to the log.
func (l *steadyLoad) phase(what string, lasts time.Duration) {
	l.t.Helper()
	<-time.After(lasts)
	l.mu.Lock()
	defer l.mu.Unlock()
	slices.Sort(l.took)
	n := len(l.took)
	if n == 0 {
		l.t.Fatalf("%s: no requests", what)
	}
	l.t.Logf("%s: %d requests, p50 %v, p99 %v, max %v", what, n, round(l.took[n/2]), round(l.took[n*99/100]), round(l.took[n-1]))
	for _, err := range l.failed[:min(len(l.failed), 5)] {
		l.t.Errorf("%s: %v", what, err)
	}
	if len(l.failed) > 0 {
		l.t.Errorf("%s: %d failed", what, len(l.failed))
	}
	l.took, l.failed = nil, nil
}

func round(d time.Duration) time.Duration { return d.Round(10 * time.Microsecond) }

// stop ends the load.
func (l *steadyLoad) stop() {
	l.halt()
	l.ended.Wait()
}
