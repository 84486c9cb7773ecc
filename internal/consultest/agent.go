package consultest

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os/exec"
	"strconv"
	"strings"
	"testing"
	"time"
)

const (
	// startTimeout is how long an agent may take until it serves. It takes 0.2 s;
	// a machine that compiles beside it makes that a few.
	startTimeout = 30 * time.Second
	// pollEvery is how often a starting agent is asked whether it serves.
	pollEvery = 20 * time.Millisecond
	// portAttempts bounds the tries at free ports: another process may take one
	// between our look at it and the agent's start.
	portAttempts = 3
)

// Agent is a running Consul agent in development mode. Its methods are for one
// goroutine at a time; Address is for all.
type Agent struct {
	program string
	ports   [4]int // HTTP, server, gossip in and between datacenters
	command *exec.Cmd
	exited  chan struct{} // closed when the process is gone
	output  *tail
}

// Start starts an agent for one test, which ends if that is impossible.
func Start(t testing.TB) *Agent {
	t.Helper()
	agent, err := Launch(t.Context())
	Need(t, err)
	t.Cleanup(agent.Kill)
	return agent
}

// Launch starts an agent and returns once it serves, at most half a minute
// later, or when ctx ends. The caller kills it. The error is ErrMissing if there
// is no Consul; else it holds the end of the agent's own log.
func Launch(ctx context.Context) (*Agent, error) {
	program, err := Find()
	if err != nil {
		return nil, err
	}
	for range portAttempts {
		a := &Agent{program: program}
		if a.ports, err = freePorts(); err != nil {
			return nil, err
		}
		if err = a.Restart(ctx); err == nil {
			return a, nil
		}
	}
	return nil, err
}

// Address returns where the agent answers HTTP, host:port.
func (a *Agent) Address() string { return net.JoinHostPort("127.0.0.1", strconv.Itoa(a.ports[0])) }

// Restart starts the agent afresh, on its ports and with nothing in it, and
// returns once it serves. It kills the agent first if it runs.
func (a *Agent) Restart(ctx context.Context) error {
	a.Kill()
	a.output = &tail{}
	a.exited = make(chan struct{})
	//nolint:noctx,gosec // it outlives the context of whoever starts it; the tester names the program
	a.command = exec.Command(a.program, a.arguments()...)
	a.command.Stdout, a.command.Stderr = a.output, a.output
	a.command.SysProcAttr = dieWithParent()
	if err := a.command.Start(); err != nil {
		return fmt.Errorf("start consul: %w", err)
	}
	go func(command *exec.Cmd, exited chan struct{}) {
		defer close(exited)
		_ = command.Wait() // it was killed, or its output says why it ended
	}(a.command, a.exited)
	if err := a.awaitService(ctx); err != nil {
		a.Kill()
		return fmt.Errorf("start consul: %w; its log ends:\n%s", err, a.output)
	}
	return nil
}

// arguments are those of a development agent with all ports of its own choice
// closed, and nothing that asks the internet.
func (a *Agent) arguments() []string {
	return []string{
		"agent", "-dev", "-node=consultest", "-bind=127.0.0.1", "-client=127.0.0.1", "-log-level=info",
		fmt.Sprintf("-http-port=%d", a.ports[0]), fmt.Sprintf("-server-port=%d", a.ports[1]),
		fmt.Sprintf("-serf-lan-port=%d", a.ports[2]), fmt.Sprintf("-serf-wan-port=%d", a.ports[3]),
		"-dns-port=-1", "-grpc-port=-1", "-grpc-tls-port=-1",
		"-hcl=disable_update_check = true connect { enabled = false }",
	}
}

// Kill ends the agent without a chance to say goodbye; its data is gone. Killing
// one that does not run is harmless.
func (a *Agent) Kill() {
	if a.command == nil || a.command.Process == nil {
		return
	}
	_ = a.command.Process.Kill() // fails only if it has ended
	<-a.exited
	a.command = nil
}

// awaitService waits until the agent has a leader that knows the agent's node,
// before which sessions cannot be made.
func (a *Agent) awaitService(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, startTimeout)
	defer cancel()
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	ticker := time.NewTicker(pollEvery)
	defer ticker.Stop()
	for {
		err := a.serves(ctx, client)
		if err == nil {
			return nil
		}
		select {
		case <-ticker.C:
		case <-a.exited:
			return errors.New("it ended")
		case <-ctx.Done():
			return fmt.Errorf("it does not serve: %w", err)
		}
	}
}

func (a *Agent) serves(ctx context.Context, client *http.Client) error {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+a.Address()+"/v1/catalog/service/consul", http.NoBody)
	if err != nil {
		return err
	}
	response, err := client.Do(request)
	if err != nil {
		return err
	}
	defer func() { _ = response.Body.Close() }()
	body, err := io.ReadAll(response.Body)
	if err == nil && (response.StatusCode != http.StatusOK || strings.TrimSpace(string(body)) == "[]") {
		err = fmt.Errorf("%s: %s", response.Status, body)
	}
	return err
}

// freePorts returns ports of loopback that nobody listens on.
func freePorts() (ports [4]int, err error) {
	var listeners [4]net.Listener // all at once, so that they differ
	for i := range ports {
		//nolint:noctx // a local listener is there at once or never
		if listeners[i], err = net.Listen("tcp", "127.0.0.1:0"); err != nil {
			break
		}
		ports[i] = listeners[i].Addr().(*net.TCPAddr).Port
	}
	for _, listener := range listeners {
		if listener != nil {
			_ = listener.Close()
		}
	}
	if err != nil {
		return ports, fmt.Errorf("find a free port: %w", err)
	}
	return ports, nil
}
