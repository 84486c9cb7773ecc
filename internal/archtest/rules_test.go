package archtest_test

import (
	"slices"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/torc-io/torc/internal/archtest"
)

// files are sources by path. A go.mod is added.
type files map[string]string

// seed is a source that breaks a rule on purpose, or keeps it narrowly.
type seed struct {
	rule  string
	name  string
	files files
	// want is the findings, each as "where: what". None means that the rule is kept.
	want []string
}

var seeds = slices.Concat(importSeeds, puritySeeds, docSeeds, sizeSeeds, stateSeeds, textSeeds)

var importSeeds = []seed{
	{
		"imports", "upwards",
		files{"coordinator/c.go": "package coordinator\nimport _ \"example.org/m/ring\"\nimport _ \"example.org/m/actors\""},
		[]string{"coordinator/c.go:3: coordinator must not import actors"},
	},
	{
		"imports", "sideways",
		files{"handoff/h.go": "package handoff\nimport _ \"example.org/m/coordinator\""},
		[]string{"handoff/h.go:2: handoff must not import coordinator"},
	},
	{
		"imports", "below a layer counts as the layer",
		files{
			"membership/local/l.go": "package local\nimport _ \"example.org/m/membership\"\nimport _ \"example.org/m/actors/x\"",
			"actors/a.go":           "package actors\nimport _ \"example.org/m/membership/local\"",
		},
		[]string{"membership/local/l.go:3: membership must not import actors/x"},
	},
	{
		"imports", "users stay on the public API",
		files{
			"kv/kv.go":           "package kv\nimport _ \"example.org/m\"\nimport _ \"example.org/m/actors\"",
			"examples/x/main.go": "package main\nimport _ \"example.org/m\"\nimport _ \"example.org/m/coordinator\"",
		},
		[]string{
			"examples/x/main.go:3: examples must not import coordinator",
			"kv/kv.go:3: kv must not import actors",
		},
	},
	{
		"imports", "a program may import everything",
		files{"cmd/node/main.go": "package main\nimport _ \"example.org/m/kv\"\nimport _ \"example.org/m/actors\""},
		nil,
	},
	{
		"imports", "what serves tests",
		files{
			"actors/a.go":      "package actors\nimport _ \"example.org/m/internal/sim\"",
			"actors/a_test.go": "package actors\nimport _ \"example.org/m/internal/sim\"",
		},
		[]string{"actors/a.go:2: internal/sim is imported by tests only"},
	},
	{
		"imports", "a dependency with an owner",
		files{
			"kv/kv.go":                "package kv\nimport _ \"github.com/asynkron/protoactor-go/actor\"",
			"actors/a.go":             "package actors\nimport _ \"github.com/asynkron/protoactor-go/actor\"",
			"membership/consul/c.go":  "package consul\nimport _ \"github.com/hashicorp/consul/api\"",
			"membership/m.go":         "package membership\nimport _ \"github.com/hashicorp/consul/api\"",
			"membership/consult/c.go": "package consult\nimport _ \"github.com/hashicorp/consul/api\"",
		},
		[]string{
			"kv/kv.go:2: only actors imports github.com/asynkron/protoactor-go",
			"membership/m.go:2: only membership/consul imports github.com/hashicorp/consul/api",
			"membership/consult/c.go:2: only membership/consul imports github.com/hashicorp/consul/api",
		},
	},
	{
		"imports", "a package without a place",
		files{"gossip/g.go": "package gossip"},
		[]string{"gossip: has no place in the layers of internal/archtest/imports.go"},
	},
}

var puritySeeds = []seed{
	{
		"purity", "impure imports",
		files{"ring/r.go": "package ring\nimport (\n_ \"fmt\"\n_ \"sync/atomic\"\n_ \"log/slog\"\n_ \"math/rand/v2\"\n_ \"math\"\n)"},
		[]string{
			"ring/r.go:4: ring is pure and imports sync/atomic",
			"ring/r.go:5: ring is pure and imports log/slog",
			"ring/r.go:6: ring is pure and imports math/rand/v2",
		},
	},
	{
		"purity", "foreign imports, and the one exception",
		files{
			"ring/r.go":    "package ring\nimport _ \"github.com/zeebo/xxh3\"\nimport _ \"google.golang.org/protobuf/proto\"",
			"handoff/h.go": "package handoff\nimport _ \"github.com/zeebo/xxh3\"",
		},
		[]string{
			"handoff/h.go:2: handoff is pure and imports github.com/zeebo/xxh3, which is not in the standard library",
			"ring/r.go:3: ring is pure and imports google.golang.org/protobuf/proto, which is not in the standard library",
		},
	},
	{
		"purity", "clocks",
		files{"coordinator/c.go": "package coordinator\nimport clock \"time\"\nvar d clock.Duration = 2*clock.Second\nvar t = clock.Now()\nvar c = clock.After"},
		[]string{
			"coordinator/c.go:4: time.Now: of package time, only " + timeValues + " are values",
			"coordinator/c.go:5: time.After: of package time, only " + timeValues + " are values",
		},
	},
	{
		"purity", "dot imports",
		files{"ring/r.go": "package ring\nimport . \"time\""},
		[]string{"ring/r.go:2: a dot import hides what comes from time"},
	},
	{
		"purity", "goroutines and channels",
		files{"handoff/h.go": "package handoff\nfunc f() {\ngo f()\n}\ntype t struct{ c <-chan int }"},
		[]string{"handoff/h.go:3: starts a goroutine", "handoff/h.go:5: uses a channel"},
	},
	{
		"purity", "tests and other packages are free",
		files{
			"ring/r_test.go": "package ring\nimport _ \"os\"\nfunc f() { go f() }",
			"actors/a.go":    "package actors\nimport _ \"os\"\nfunc f() { go f() }",
		},
		nil,
	},
}

const timeValues = "Duration, Time, Nanosecond, Microsecond, Millisecond, Second, Minute, Hour"

var docSeeds = []seed{
	{
		"package-docs", "none, short, misnamed, twice",
		files{
			"a/a.go": "package a",
			"b/b.go": "// Package b is\n// short.\npackage b",
			"c/c.go": "// It is misnamed. Badly.\npackage c",
			"d/d.go": "// Package d is here. Once.\npackage d",
			"d/e.go": "// Package d is here. Twice.\npackage d",
		},
		[]string{
			"a: package a has no doc",
			"b/b.go:1: the doc of package b is one sentence; its users need more",
			"c/c.go:1: the doc does not begin with: Package c",
			"d/e.go:1: package d has its doc in 2 places",
		},
	},
	{
		"package-docs", "enough",
		files{
			"a/a.go":          "// Package a has two sentences. This is one.\npackage a",
			"a/a_test.go":     "// Not a package doc.\npackage a",
			"internal/b/b.go": "// Package b is internal: a sentence will do.\npackage b",
			"cmd/c/main.go":   "// C is a program.\npackage main",
			"d/d_test.go":     "package d",
			"e/e.go":          "// Code generated by hand. DO NOT EDIT.\npackage e",
			"f/testdata/f.go": "package f",
			"g/g.go":          "package g",
			"g/go.mod":        "module other",
		},
		nil,
	},
	{
		"exported-docs", "bare",
		files{"a/a.go": "package a\ntype T int\nfunc (t *T) M() {}\nfunc F() {}\nconst C = 1\nvar (\nV = 1\n)\ntype G[K any] int\nfunc (G[K]) M() {}"},
		[]string{
			"a/a.go:2: T has no doc", "a/a.go:3: M has no doc", "a/a.go:4: F has no doc",
			"a/a.go:5: C has no doc, nor has its group", "a/a.go:7: V has no doc, nor has its group",
			"a/a.go:9: G has no doc", "a/a.go:10: M has no doc",
		},
	},
	{
		"exported-docs", "under another name",
		files{"a/a.go": "package a\n// This is T.\ntype T int\n\n// Gets it.\nfunc F() {}"},
		[]string{
			"a/a.go:3: the doc of T does not begin with its name",
			"a/a.go:6: the doc of F does not begin with its name",
		},
	},
	{
		"exported-docs", "documented or not exported",
		files{
			"a/a.go": "package a\n// T is.\ntype T int\n// An A is.\ntype A = T\n// Limits.\nconst (\nC = 1\nD = 2\n)\n" +
				"var V = 1 // V is.\ntype t int\nfunc (t) M() {}\nfunc f() {}",
			"a/a_test.go":   "package a\nfunc TestF() {}",
			"cmd/c/main.go": "package main\nfunc F() {}",
		},
		nil,
	},
}

var sizeSeeds = []seed{
	{
		"size", "functions",
		files{
			"a/a.go":      "package a\n" + function("f", 70) + function("g", 71),
			"a/a_test.go": "package a\n" + function("testF", 120) + function("testG", 121),
		},
		[]string{
			"a/a.go:72: g has 71 lines; the limit is 70",
			"a/a_test.go:122: testG has 121 lines; the limit is 120",
		},
	},
	{
		"size", "files",
		files{"a/a.go": "package a" + strings.Repeat("\n", 600), "b/b.go": "package b" + strings.Repeat("\n", 601)},
		[]string{"b/b.go: has 601 lines; the limit is 600"},
	},
	{
		"size", "parameters",
		files{"a/a.go": "package a\nfunc f(ctx context.Context, t *testing.T, a, b, c int, d, e string) {}\nfunc g(int, int, int, int, int, int) {}"},
		[]string{"a/a.go:3: g takes 6 parameters; the limit is 5"},
	},
}

// function returns the source of a function of so many lines.
func function(name string, lines int) string {
	return "func " + name + "() {" + strings.Repeat("\n", lines-1) + "}\n"
}

var stateSeeds = []seed{
	{
		"state", "init",
		files{"a/a.go": "package a\nfunc init() {}\ntype t int\nfunc (t) init() {}"},
		[]string{"a/a.go:2: an init function: whoever imports the package gets its effects unasked"},
	},
	{
		"state", "registries",
		files{"a/a.go": "package a\nimport \"sync\"\nimport \"sync/atomic\"\nvar m sync.RWMutex\nvar r = map[string]int{}\nvar s map[string]int\n" +
			"var q = make([]int, 9)\nvar c chan int\nvar n = &struct{ n atomic.Int64 }{}"},
		[]string{
			"a/a.go:4: package-level variable m holds a sync.RWMutex",
			"a/a.go:5: package-level variable r holds an empty map",
			"a/a.go:6: package-level variable s holds an empty map",
			"a/a.go:7: package-level variable q holds something made to be filled",
			"a/a.go:8: package-level variable c holds a channel",
			"a/a.go:9: package-level variable n holds an atomic.Int64",
		},
	},
	{
		"state", "tables, sentinels, pools",
		files{"a/a.go": "package a\nimport \"sync\"\nimport \"errors\"\nvar t = map[string]int{\"a\": 1}\nvar ErrX = errors.New(\"x\")\nvar p sync.Pool\n" +
			"var f = func() chan int { return make(chan int) }"},
		nil,
	},
	{
		"names", "drawers",
		files{"internal/utils/u.go": "package utils\ntype RingManager struct{}\ntype ringHelper struct{}\ntype Managed struct{}"},
		[]string{
			"internal/utils: package utils is named like a drawer",
			"internal/utils/u.go:2: type RingManager: Manager does not say what it does",
			"internal/utils/u.go:3: type ringHelper: Helper does not say what it does",
		},
	},
	{
		"sleep", "for luck",
		files{"a/a_test.go": "package a\nimport \"time\"\nfunc f() {\ntime.Sleep(1)\n//archtest:sleep\ntime.Sleep(1)\n}"},
		[]string{"a/a_test.go:4: sleeps", "a/a_test.go:6: sleeps"},
	},
	{
		"sleep", "in virtual time, or for a reason",
		files{
			"a/a_test.go": "package a\nimport \"time\"\nimport \"testing/synctest\"\nfunc f() { time.Sleep(1) }",
			"a/b_test.go": "package a\nimport \"time\"\nfunc f() {\n//archtest:sleep polls a process\ntime.Sleep(1)\ntime.Sleep(1) //archtest:sleep likewise\n}",
		},
		nil,
	},
}

var textSeeds = []seed{
	{
		"text", "of one machine, of one moment, of one person",
		files{
			"a.md": "fine: /livez, a/home/b, https://example.org/home/x\nsee " + "/home" + "/me/notes",
			"b.sh": "x=\n<<<<<" + "<< HEAD\n",
			"c.go": "package c\n// -----BEGIN EC " + "PRIVATE KEY-----",
		},
		[]string{
			"a.md:2: a path that exists on one machine only",
			"b.sh:2: the mark of an unfinished merge",
			"c.go:2: a private key; tests make their own",
		},
	},
	{
		"links", "dead",
		files{"docs/a.md": "[here](b.md) and [there](../ring/none.go#L1)\n\n[ref]: ../gone.md\n"},
		[]string{
			"docs/a.md:1: b.md leads nowhere",
			"docs/a.md:1: ../ring/none.go#L1 leads nowhere",
			"docs/a.md:3: ../gone.md leads nowhere",
		},
	},
	{
		"links", "alive, elsewhere, or code",
		files{
			"docs/a.md": "[up](../README.md#top) [dir](../docs) [root](/README.md) [self](#x) ![p](p.png \"a picture\") [w](https://example.org/x)\n" +
				"`a[i](x)`\n\n```go\nf[T](y)\n```\n",
			"docs/p.png": "\xff",
			"README.md":  "# top\n",
		},
		nil,
	},
	{
		"examples", "without a page",
		files{"examples/chat/main.go": "package main", "examples/ping/main.go": "package main", "examples/ping/README.md": "# Ping\n", "examples/README.md": "x"},
		[]string{"examples/chat: has no README.md"},
	},
}

// TestRulesCatchSeeds proves each rule against sources that break it, and
// against sources that look as if they did.
func TestRulesCatchSeeds(t *testing.T) {
	rules := map[string]archtest.Rule{}
	for _, rule := range archtest.Rules() {
		rules[rule.Name] = rule
	}
	caught := map[string]bool{}
	for _, seed := range seeds {
		caught[seed.rule] = caught[seed.rule] || seed.want != nil
		t.Run(seed.rule+"/"+seed.name, func(t *testing.T) {
			var got []string
			for _, finding := range rules[seed.rule].Check(load(t, seed.files)) {
				got = append(got, finding.Where+": "+finding.What)
				if finding.Why == "" {
					t.Errorf("%s has no reason", finding.Where)
				}
			}
			slices.Sort(got)
			if want := slices.Sorted(slices.Values(seed.want)); !slices.Equal(got, want) {
				t.Errorf("got\n\t%s\nwant\n\t%s", strings.Join(got, "\n\t"), strings.Join(want, "\n\t"))
			}
		})
	}
	for name := range rules {
		if !caught[name] {
			t.Errorf("no seed breaks the rule %s, so nothing shows that it works", name)
		}
	}
}

func load(t *testing.T, sources files) *archtest.Module {
	t.Helper()
	fsys := fstest.MapFS{"go.mod": {Data: []byte("module example.org/m\n")}}
	for name, source := range sources {
		fsys[name] = &fstest.MapFile{Data: []byte(source)}
	}
	module, err := archtest.Load(fsys)
	if err != nil {
		t.Fatal(err)
	}
	return module
}

func TestLoadRefuses(t *testing.T) {
	for name, sources := range map[string]files{
		"no module line": {"go.mod": "go 1.26\n"},
		"no syntax":      {"go.mod": "module example.org/m\n", "a.go": "package"},
		"no go.mod":      {"a.go": "package a"},
	} {
		fsys := fstest.MapFS{}
		for path, source := range sources {
			fsys[path] = &fstest.MapFile{Data: []byte(source)}
		}
		if _, err := archtest.Load(fsys); err == nil {
			t.Errorf("%s: Load is content", name)
		}
	}
}
