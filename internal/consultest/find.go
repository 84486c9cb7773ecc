package consultest

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
)

// ErrMissing says that there is no Consul to run, and how to get one.
var ErrMissing = errors.New("no consul found: run `make consul`, have consul in PATH, or name it in TORC_CONSUL")

// Find returns the path of the Consul to run, or ErrMissing. A TORC_CONSUL that
// cannot be run is an error of its own: whoever named it meant that one.
func Find() (string, error) {
	if named := os.Getenv("TORC_CONSUL"); named != "" {
		path, err := exec.LookPath(named)
		if err != nil {
			return "", fmt.Errorf("consul of TORC_CONSUL: %w", err)
		}
		return path, nil
	}
	for _, candidate := range []string{filepath.Join(moduleRoot(), "bin", "consul"), "consul"} {
		if path, err := exec.LookPath(candidate); err == nil {
			return path, nil
		}
	}
	return "", ErrMissing
}

// moduleRoot returns the nearest directory with a go.mod, from the working
// directory up, which is that of the package under test; "" if there is none.
func moduleRoot() string {
	dir, err := os.Getwd()
	for err == nil {
		if _, missing := os.Stat(filepath.Join(dir, "go.mod")); missing == nil {
			return dir
		}
		parent := filepath.Dir(dir)
		if parent == dir {
			break
		}
		dir = parent
	}
	return ""
}

// Need ends a test that cannot run because of err: a missing Consul skips it on
// a contributor's machine; anything else, and everything in CI, fails it. It
// does nothing if err is nil.
func Need(t testing.TB, err error) {
	t.Helper()
	switch {
	case err == nil:
	case errors.Is(err, ErrMissing) && os.Getenv("CI") == "":
		t.Skip(err)
	default:
		t.Fatal(err)
	}
}
