package consultest_test

import (
	"errors"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"

	"go.uber.org/goleak"

	"github.com/torc-io/torc/internal/consultest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestAgentForgetsWhenItRestarts(t *testing.T) {
	agent := consultest.Start(t)
	ask(t, agent, http.MethodPut, "/v1/kv/key", "value")
	if status, body := ask(t, agent, http.MethodGet, "/v1/kv/key?raw", ""); status != http.StatusOK || body != "value" {
		t.Fatalf("the key is %d %q", status, body)
	}
	address := agent.Address()
	agent.Kill()
	agent.Kill() // harmless
	if conn, err := net.Dial("tcp", address); err == nil {
		t.Error("a killed agent listens")
		conn.Close()
	}
	if err := agent.Restart(t.Context()); err != nil {
		t.Fatal(err)
	}
	if agent.Address() != address {
		t.Errorf("the agent moved from %s to %s", address, agent.Address())
	}
	if status, _ := ask(t, agent, http.MethodGet, "/v1/kv/key", ""); status != http.StatusNotFound {
		t.Errorf("the restarted agent answers %d for what the killed one knew", status)
	}
}

func ask(t *testing.T, agent *consultest.Agent, method, path, body string) (status int, answer string) {
	t.Helper()
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	request, err := http.NewRequestWithContext(t.Context(), method, "http://"+agent.Address()+path, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	response, err := client.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	read, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	return response.StatusCode, string(read)
}

func TestMissingConsul(t *testing.T) {
	t.Setenv("TORC_CONSUL", "/nonexistent/consul")
	if path, err := consultest.Find(); err == nil || !strings.Contains(err.Error(), "TORC_CONSUL") {
		t.Errorf("Find of a named program that is not there: %q, %v", path, err)
	}
	t.Setenv("TORC_CONSUL", "")
	t.Setenv("PATH", "")
	t.Chdir(t.TempDir())
	if path, err := consultest.Find(); !errors.Is(err, consultest.ErrMissing) {
		t.Errorf("Find where there is none: %q, %v", path, err)
	}
}

func TestMissingConsulSkipsButFailsInCI(t *testing.T) {
	for ci, want := range map[string]string{"": "skipped", "true": "failed"} {
		t.Setenv("CI", ci)
		r := &recorder{TB: t}
		func() {
			defer func() { _ = recover() }()
			consultest.Need(r, consultest.ErrMissing)
		}()
		if r.outcome != want {
			t.Errorf("with CI=%q the test %s, want %s", ci, r.outcome, want)
		}
	}
}

// recorder is a test that notes how it ended.
type recorder struct {
	testing.TB

	outcome string
}

func (r *recorder) Helper()      {}
func (r *recorder) Skip(...any)  { r.outcome = "skipped"; panic("end") }
func (r *recorder) Fatal(...any) { r.outcome = "failed"; panic("end") }

func TestProgramThatIsNoConsul(t *testing.T) {
	t.Setenv("TORC_CONSUL", "false")
	if _, err := consultest.Launch(t.Context()); err == nil || !strings.Contains(err.Error(), "it ended") {
		t.Errorf("Launch of a program that ends at once: %v", err)
	}
}
