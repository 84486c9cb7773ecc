package main

import (
	"encoding/json"
	"strings"
	"testing"
)

// TestTransferLimit: for all members and for one, and what is not given stays.
func TestTransferLimit(t *testing.T) {
	r := startDevelopment(t)
	at := r.addresses()
	first := "--http=" + at[0]
	limit := func(args ...string) string {
		t.Helper()
		return wants(t, exitDone, "Node", append([]string{"transfer-limit", first}, args...)...)
	}
	table := func(rows ...string) string { return "Node   Out   In   Rate\n" + strings.Join(rows, "\n") + "\n" }
	for _, step := range []struct{ args, want string }{
		{"", table("n1     4     4    auto", "n2     4     4    auto", "n3     4     4    auto")},
		{"8", table("n1     8     8    auto", "n2     8     8    auto", "n3     8     8    auto")},
		{"--node n2 --out 0 --rate 10MB", table("n2     0     8    10.0 MB/s")},
		{"--in 2", table("n1     8     2    auto", "n2     0     2    10.0 MB/s", "n3     8     2    auto")},
		{"--rate auto --node n2", table("n2     0     2    auto")},
		{"", table("n1     8     2    auto", "n2     0     2    auto", "n3     8     2    auto")},
	} {
		if got := limit(strings.Fields(step.args)...); got != step.want {
			t.Errorf("transfer-limit %s:\n%swant:\n%s", step.args, got, step.want)
		}
	}
	wants(t, exitUsage, "is no number", "transfer-limit", "x", first)
	wants(t, exitUsage, "0 or more", "transfer-limit", first, "--", "-1")
	wants(t, exitUsage, "gives another", "transfer-limit", "8", "--out", "1", first)
	wants(t, exitUsage, "is no rate", "transfer-limit", "--rate", "fast", first)
	wants(t, exitFailed, `no such member: "x"; there are n1, n2, n3`, "transfer-limit", "--node", "x", first)
}

// TestLimitsOfWhoIsSilent are not known, and that is a failure.
func TestLimitsOfWhoIsSilent(t *testing.T) {
	a, _ := cannedCluster(t)
	code, out, complaint := execute(t, "transfer-limit", "-o", "json", "--http", a)
	var limits []map[string]any
	if err := json.Unmarshal([]byte(out), &limits); err != nil || len(limits) != 3 {
		t.Fatalf("%v: %s", err, out)
	}
	if code != exitFailed || !strings.Contains(complaint, "node: c: cannot reach") {
		t.Errorf("exit code %d: %s", code, complaint)
	}
	if limits[0]["rate"] != 1000.0 || limits[2]["out"] != nil || limits[2]["error"] == nil {
		t.Errorf("limits: %s", out)
	}
}
