package archtest

import (
	"cmp"
	"path"
	"slices"
	"strconv"
	"strings"
)

const whyLayers = "a package that imports upwards cannot be understood, tested or replaced without what is above it"

// layer is a place in the module, with all directories below it that are no
// layer of their own, and what of the module it may import besides itself.
type layer struct {
	place string
	may   []string
	why   string
	// tests says that only tests import it, and what is there for tests itself.
	tests bool
}

// anything in layer.may allows every import.
const anything = "..."

// layers is the dependency direction, from the bottom up. Tests are free of it:
// they may look at their subject from above.
var layers = []layer{
	{place: "ring", why: "ring is the vocabulary of all others, so it stands at the bottom and knows none of them"},
	{place: "coordinator", may: []string{"ring"}, why: "a request decides by the ring and its events alone; actors drive it"},
	{place: "handoff", may: []string{"ring"}, why: "a transfer decides by the ring and its events alone; actors drive it"},
	{place: "proto", may: []string{"proto"}, why: "the wire contract depends on nothing but itself"},
	{
		place: "membership", may: []string{"ring", "proto", "internal"},
		why: "a membership store keeps the ring document and knows nothing of who serves it",
	},
	{
		place: "membership/membershiptest", may: []string{"membership", "ring", "proto"}, tests: true,
		why: "the contract test holds every store to the interface alone",
	},
	{
		place: "actors", may: []string{"coordinator", "handoff", "membership", "ring", "proto", "internal"},
		why: "actors are the thin drivers below the public API",
	},
	{
		place: "actors/vnodetest", may: []string{".", "actors", "handoff", "ring", "proto"}, tests: true,
		why: "the conformance kit speaks of vnodes as their authors see them",
	},
	{
		place: ".", may: []string{"actors", "coordinator", "handoff", "membership", "ring", "proto", "internal"},
		why: "the public API stands above the parts and below everything that is written with it",
	},
	{
		place: "kv", may: []string{".", "ring", "proto"},
		why: "kv is the reference for stateful services: what it needs, every user must be able to reach",
	},
	{
		place: "ping", may: []string{".", "ring", "proto"},
		why: "ping is the smallest service, written as a user would",
	},
	{
		place: "gateway", may: []string{".", "internal/failure", "proto"},
		why: "the gateway serves commands that it does not know, so the public API is all that it can stand on",
	},
	{
		place: "client", may: []string{".", "internal/failure", "ring", "proto"},
		why: "a client is outside of the cluster, and has nothing of a node but its contract",
	},
	{
		// The gateway is what makes an example answer "node send".
		place: "examples", may: []string{".", "gateway", "membership", "ring", "proto"},
		why: "an example shows what a user can write, so it has a user's imports",
	},
	{place: "cmd", may: []string{anything}},
	{
		place: "internal", may: []string{"ring", "proto", "internal"},
		why: "internal packages are shared by the layers above ring, so they stand below those",
	},
	{place: "internal/archtest", tests: true, why: "the guard does not depend on what it guards"},
	{place: "internal/bench", may: []string{anything}},
	{place: "internal/bench/protoactor", may: []string{}, why: "the bare node that torc is measured beside has nothing of torc"},
	{place: "internal/consultest", tests: true, why: "it runs a Consul, and knows nothing of who uses it"},
	{
		place: "internal/failure", may: []string{".", "coordinator", "ring", "proto"},
		why: "it carries the errors of the public API, on which both of its users stand",
	},
	{place: "internal/history", tests: true, why: "a checker that shares code with what it checks shares its mistakes"},
	{
		place: "internal/httpapi", may: []string{".", "kv", "ping", "ring", "proto"},
		why: "the HTTP surface is a program's, so it stands on the public API like one",
	},
	{place: "internal/load", may: []string{}, why: "a load says the same of every system, so it knows none"},
	{
		place: "internal/puppet", may: []string{".", "proto"}, tests: true,
		why: "a service for tests is written as a user would",
	},
	{
		place: "internal/sim", may: []string{"coordinator", "handoff", "membership", "ring", "proto", "internal"}, tests: true,
		why: "the simulation runs the pure machines without the actors around them",
	},
}

// owners names the dependencies that only one place may import. The place of a
// twin is an exception: a program that measures what the dependency takes alone.
var owners = []struct{ module, place, twin, why string }{
	{
		"github.com/asynkron/protoactor-go", "actors", "internal/bench/protoactor",
		"one package speaks Proto.Actor, so that its traps are met, tested and changed in one place",
	},
	{
		"github.com/hashicorp/consul/api", "membership/consul", "",
		"Consul is one membership store of several; whoever speaks to it directly cannot do without it",
	},
}

func imports(m *Module) []Finding {
	var findings []Finding
	for _, pkg := range m.Packages {
		if pkg.Name != "" && layerOf(pkg.Dir) == nil {
			findings = append(findings, found(pkg.Dir, "has no place in the layers of internal/archtest/imports.go"))
		}
	}
	for pkg, file := range m.sources() {
		for _, spec := range file.Syntax.Imports {
			target, _ := strconv.Unquote(spec.Path.Value)
			what, why := m.refuse(pkg.Dir, target)
			if what != "" {
				findings = append(findings, Finding{m.at(spec), what, why})
			}
		}
	}
	return findings
}

// refuse says what is wrong with dir importing target, and why; "" if nothing.
func (m *Module) refuse(dir, target string) (what, why string) {
	for _, owner := range owners {
		if within(target, owner.module) && !within(dir, owner.place) && dir != owner.twin {
			return "only " + owner.place + " imports " + owner.module, owner.why
		}
	}
	from, inside := layerOf(dir), m.dirOf(target)
	if from == nil || inside == "" {
		return "", ""
	}
	to := layerOf(inside)
	switch {
	case to == nil || to.place == from.place:
		return "", ""
	case to.tests && !from.tests:
		return to.place + " is imported by tests only", "what serves tests must not end up in a program"
	case !from.allows(to):
		return from.place + " must not import " + inside, cmp.Or(from.why, whyLayers)
	}
	return "", ""
}

// allows says whether a layer may import another, or one that the other is inside of.
func (l *layer) allows(to *layer) bool {
	return slices.ContainsFunc(l.may, func(place string) bool {
		return place == anything || within(to.place, place)
	})
}

// dirOf returns the directory of an import path of this module, "" for others.
func (m *Module) dirOf(target string) string {
	if !within(target, m.Path) {
		return ""
	}
	return path.Clean("." + strings.TrimPrefix(target, m.Path))
}

// layerOf returns the innermost layer that dir is in, nil if it is in none.
func layerOf(dir string) *layer {
	var innermost *layer
	for i, l := range layers {
		if within(dir, l.place) && (innermost == nil || len(l.place) > len(innermost.place)) {
			innermost = &layers[i]
		}
	}
	return innermost
}

// within says whether a path is place or below it. Nothing is below ".".
func within(name, place string) bool {
	return name == place || strings.HasPrefix(name, place+"/")
}
