package bench

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"strconv"
	"strings"
	"time"
)

// memberVariable tells a process which part it plays: a role and its arguments.
const memberVariable = "TORC_BENCH_MEMBER"

// The bounds of another process. It starts within a fraction of a second, even on
// a busy machine.
const (
	processStarts = 30 * time.Second
	processStops  = 5 * time.Second
)

// role is what a member process does. It calls ready once, with a line for its
// parent, and returns when ctx ends.
type role func(ctx context.Context, args []string, ready func(string)) error

// roles are the parts that a process can play.
func roles() map[string]role {
	return map[string]role{
		"torc": memberOfTorc, "tcp": memberOfTCP, "grpc": memberOfGRPC,
		"idle-torc": idleTorc, "idle-protoactor": idleProtoActor, "idle-go": idleGo,
	}
}

// IsMember says whether this process was started to be measured by another.
func IsMember() bool { return os.Getenv(memberVariable) != "" }

// RunMember plays the part that this process was started for, until its standard
// input ends, which is when its parent does or wants it to.
func RunMember() error {
	words := strings.Fields(os.Getenv(memberVariable))
	play := roles()[words[0]]
	if play == nil {
		return fmt.Errorf("%s: no role is called %q", memberVariable, words[0])
	}
	signal.Ignore(os.Interrupt) // a terminal sends it to all; it is the parent who ends the rest
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	go func() {
		_, _ = io.Copy(io.Discard, os.Stdin) // the end is all that is waited for
		cancel()
	}()
	return play(ctx, words[1:], func(line string) { fmt.Println(line) })
}

// process is a member process.
type process struct {
	command *exec.Cmd
	stdin   io.Closer
	stderr  bytes.Buffer
	said    string // when it was ready
	took    time.Duration
}

// startProcess runs this program once more, in a role, and waits until it is ready.
func startProcess(ctx context.Context, words ...string) (*process, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	p := &process{command: exec.Command(self)} //nolint:gosec,noctx // it is this program, and ends when its standard input does
	p.command.Env = append(os.Environ(), memberVariable+"="+strings.Join(words, " "))
	p.command.Stderr = &p.stderr
	stdin, err := p.command.StdinPipe()
	if err != nil {
		return nil, err
	}
	stdout, err := p.command.StdoutPipe()
	if err != nil {
		return nil, err
	}
	p.stdin = stdin
	began := time.Now()
	if err := p.command.Start(); err != nil {
		return nil, err
	}
	if err := p.await(ctx, stdout); err != nil {
		return nil, fmt.Errorf("process %s: %w", words[0], errors.Join(err, p.close()))
	}
	p.took = time.Since(began)
	return p, nil
}

// await reads the line that says it is ready.
func (p *process) await(ctx context.Context, stdout io.Reader) error {
	said, failed := make(chan string, 1), make(chan error, 1)
	go func() {
		line, err := bufio.NewReader(stdout).ReadString('\n')
		if err != nil {
			failed <- fmt.Errorf("it ended before it was ready: %w", err)
			return
		}
		said <- strings.TrimSpace(line)
	}()
	select {
	case p.said = <-said:
		return nil
	case err := <-failed:
		return err
	case <-time.After(processStarts):
		return fmt.Errorf("not ready within %v", processStarts)
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// complaint is what it wrote to standard error, if anything.
func (p *process) complaint() error {
	if text := bytes.TrimSpace(p.stderr.Bytes()); len(text) > 0 {
		return fmt.Errorf("it wrote: %s", text)
	}
	return nil
}

// close has the process end, and ends it if it does not.
func (p *process) close() error {
	_ = p.stdin.Close() // it may have ended already
	kill := time.AfterFunc(processStops, func() { _ = p.command.Process.Kill() })
	defer kill.Stop()
	if err := p.command.Wait(); err != nil {
		return fmt.Errorf("%w: %w", err, p.complaint())
	}
	return nil
}

// startProcesses starts the members of a cluster but the first, who is this
// process, all at once. words makes the role of each.
func startProcesses(ctx context.Context, words func(member int) []string) ([]*process, error) {
	started, errs := make([]*process, clusterSize), make([]error, clusterSize)
	done := make(chan struct{})
	for i := 1; i < clusterSize; i++ {
		go func() {
			defer func() { done <- struct{}{} }()
			started[i], errs[i] = startProcess(ctx, words(i)...)
		}()
	}
	var all []*process
	for range clusterSize - 1 {
		<-done
	}
	for _, p := range started {
		if p != nil {
			all = append(all, p)
		}
	}
	return all, errors.Join(errs...)
}

func closeProcesses(all []*process) (err error) {
	for _, p := range all {
		err = errors.Join(err, p.close())
	}
	return err
}

// helped is a system that has other processes work too.
type helped interface {
	// cpu is what they have used of the processors so far.
	cpu() time.Duration
}

// cpuOf is what a system's other processes have used; 0 if it has none, or the
// system does not tell.
func cpuOf(s System) time.Duration {
	if h, ok := s.(helped); ok {
		return h.cpu()
	}
	return 0
}

// clockTick is the unit of Linux's /proc, on all its machines.
const clockTick = 10 * time.Millisecond

func cpuOfProcesses(all []*process) (sum time.Duration) {
	for _, p := range all {
		text, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", p.command.Process.Pid))
		if err != nil {
			return 0 // no Linux
		}
		// After the name, which may have spaces and is in parentheses, the times in
		// user and in kernel mode are the 12th and 13th (proc(5)).
		fields := strings.Fields(string(text[bytes.LastIndexByte(text, ')')+1:]))
		for _, field := range fields[11:13] {
			ticks, err := strconv.ParseInt(field, 10, 64)
			if err != nil {
				return 0
			}
			sum += time.Duration(ticks) * clockTick
		}
	}
	return sum
}
