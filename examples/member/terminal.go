package member

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"time"

	torc "github.com/torc-io/torc"
)

// Command is something to type.
type Command struct {
	// Usage is the command's name and a word for each argument: "store KEY DATA".
	Usage string
	// Run executes it, and returns what to print.
	Run func(ctx context.Context, args []string) (string, error)
}

// errQuit ends the terminal.
var errQuit = errors.New("quit")

// stopTimeout bounds what a member may take to let its last requests end.
const stopTimeout = 10 * time.Second

// Attend answers what is typed, and HTTP if the flags say so, until ctx ends or
// somebody types quit. It stops the node then. At the end of its input it serves
// on, so that a member may run without a terminal.
func (m *Member) Attend(ctx context.Context, node *torc.Node, commands ...Command) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	err := m.serveCommands(ctx, node)
	if err == nil {
		fmt.Printf("%s serves; type help for what it understands\n", m.Name)
		converse(ctx, append(commands, common(node)...))
	}
	if m.Last != nil {
		m.Last()
	}
	last, stop := context.WithTimeout(context.WithoutCancel(ctx), stopTimeout)
	defer stop()
	return errors.Join(err, node.Shutdown(last))
}

// converse executes line after line.
func converse(ctx context.Context, commands []Command) {
	lines := read(ctx)
	for {
		fmt.Print("> ")
		select {
		case line := <-lines:
			answer, err := execute(ctx, commands, line)
			if errors.Is(err, errQuit) {
				return
			}
			if err != nil {
				answer = fmt.Sprintf("error: %v\n", err)
			}
			fmt.Print(answer)
		case <-ctx.Done():
			return
		}
	}
}

// read returns the lines of the standard input as they come. Its goroutine ends
// with the process: nothing can interrupt a read from a terminal.
func read(ctx context.Context) <-chan string {
	lines := make(chan string)
	go func() {
		for input := bufio.NewScanner(os.Stdin); input.Scan(); {
			select {
			case lines <- input.Text():
			case <-ctx.Done():
				return
			}
		}
	}()
	return lines
}

// execute finds the command of a line and runs it.
func execute(ctx context.Context, commands []Command, line string) (string, error) {
	words := strings.Fields(line)
	if len(words) == 0 {
		return "", nil
	}
	for _, c := range commands {
		usage := strings.Fields(c.Usage)
		switch {
		case usage[0] != words[0]:
		case len(usage) != len(words):
			return "", fmt.Errorf("type %s", c.Usage)
		default:
			return ended(c.Run(ctx, words[1:]))
		}
	}
	if words[0] == "help" {
		return help(commands), nil
	}
	return "", fmt.Errorf("there is no command %s; type help", words[0])
}

// ended ends an answer with a line's end.
func ended(answer string, err error) (string, error) {
	if answer != "" && !strings.HasSuffix(answer, "\n") {
		answer += "\n"
	}
	return answer, err
}

func help(commands []Command) string {
	var b strings.Builder
	for _, c := range commands {
		fmt.Fprintln(&b, c.Usage)
	}
	return b.String()
}

// common are the commands that every example understands.
func common(node *torc.Node) []Command {
	return []Command{
		{"members", func(context.Context, []string) (string, error) {
			return node.Ring().MembersTable(), nil
		}},
		// leave gives away all that the node has, and stops.
		{"leave", func(ctx context.Context, _ []string) (string, error) {
			if err := node.Leave(ctx); err != nil {
				return "", err
			}
			return "", errQuit
		}},
		// quit stops a member, which remains one.
		{"quit", func(context.Context, []string) (string, error) { return "", errQuit }},
		// crash is kill -9: nothing is closed, nobody is told.
		{"crash", func(context.Context, []string) (string, error) {
			self, err := os.FindProcess(os.Getpid())
			if err == nil {
				err = self.Kill()
			}
			return "", err
		}},
	}
}
