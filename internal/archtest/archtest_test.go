package archtest_test

import (
	"os"
	"testing"

	"github.com/torc-io/torc/internal/archtest"
)

// TestArchitecture holds this module to every rule.
func TestArchitecture(t *testing.T) {
	module, err := archtest.Load(os.DirFS("../.."))
	if err != nil {
		t.Fatal(err)
	}
	for _, rule := range archtest.Rules() {
		t.Run(rule.Name, func(t *testing.T) {
			for _, finding := range rule.Check(module) {
				t.Error(finding)
			}
		})
	}
}
