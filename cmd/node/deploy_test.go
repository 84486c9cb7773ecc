package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/spf13/pflag"
	"go.yaml.in/yaml/v3"
)

const deploy = "../../deploy"

// knownVariables returns what node start reads from its environment.
func knownVariables() map[string]bool {
	known := map[string]bool{tokenVariable: true}
	start := newStart(streams{})
	start.Flags().VisitAll(func(f *pflag.Flag) {
		for _, variable := range f.Annotations[envAnnotation] {
			known[variable] = true
		}
	})
	return known
}

// TestUnit: systemd takes the unit, if there is a systemd here, and the variables
// that it speaks of exist.
func TestUnit(t *testing.T) {
	text, err := os.ReadFile(filepath.Join(deploy, "torc.service"))
	if err != nil {
		t.Fatal(err)
	}
	sections := 0
	for i, line := range strings.Split(string(text), "\n") {
		isSection, isSetting := strings.HasPrefix(line, "["), regexp.MustCompile(`^[A-Z]\w+=`).MatchString(line)
		if line != "" && line[0] != '#' && !isSection && (!isSetting || sections == 0) {
			t.Errorf("line %d is no part of a unit: %s", i+1, line)
		}
		if isSection {
			sections++
		}
	}
	known := knownVariables()
	for _, variable := range regexp.MustCompile(`(?m)^# +((?:TORC|CONSUL)\w+)=`).FindAllStringSubmatch(string(text), -1) {
		if !known[variable[1]] {
			t.Errorf("nothing reads %s", variable[1])
		}
	}
	verifyUnit(t, string(text))
}

// verifyUnit asks systemd. The program and its settings are not where they would
// be, so others stand in.
func verifyUnit(t *testing.T, text string) {
	t.Helper()
	systemd, err := exec.LookPath("systemd-analyze")
	if err != nil {
		return
	}
	for old, stand := range map[string]string{"/usr/local/lib/torc/node": "/bin/true", "User=torc": "User=root"} {
		if !strings.Contains(text, old) {
			t.Fatalf("the unit has no %s", old)
		}
		text = strings.ReplaceAll(text, old, stand)
	}
	unit := filepath.Join(t.TempDir(), "torc.service")
	if err := os.WriteFile(unit, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	if output, err := exec.Command(systemd, "verify", "--man=no", unit).CombinedOutput(); err != nil || strings.Contains(string(output), unit) {
		t.Errorf("systemd-analyze: %v\n%s", err, output)
	}
}

// TestCompose: it is YAML, and its members start with flags that exist and agree.
func TestCompose(t *testing.T) {
	text, err := os.ReadFile(filepath.Join(deploy, "compose.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	var compose struct {
		Services map[string]struct {
			Image       string            `yaml:"image"`
			Command     any               `yaml:"command"`
			Environment map[string]string `yaml:"environment"`
			Ports       []string          `yaml:"ports"`
			DependsOn   []string          `yaml:"depends_on"`
		} `yaml:"services"`
	}
	if err := yaml.Unmarshal(text, &compose); err != nil {
		t.Fatal(err)
	}
	known, members := knownVariables(), 0
	for name, service := range compose.Services {
		if service.Image == "" || len(service.Ports) == 0 {
			t.Errorf("%s has no image, or no port", name)
		}
		if name == "consul" {
			continue
		}
		members++
		for _, other := range service.DependsOn {
			if compose.Services[other].Image == "" {
				t.Errorf("%s depends on %s, which is not there", name, other)
			}
		}
		var c starting
		start := newStartOf(streams{}, &c)
		for variable, value := range service.Environment {
			if !known[variable] {
				t.Errorf("nothing reads %s of %s", variable, name)
			}
			t.Setenv(variable, value)
		}
		if err := applyEnv(start.Flags()); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		if err := c.check(); err != nil || c.name != name || !c.security.insecure || c.consul == "" {
			t.Errorf("%s would start as %+v: %v", name, c, err)
		}
	}
	if members != 3 {
		t.Errorf("%d members", members)
	}
}
