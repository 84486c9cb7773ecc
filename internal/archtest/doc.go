// Package archtest is the architecture's guard: it reads the source of the
// module and says where it breaks what its parts promised each other.
//
// # What it guards
//
//   - imports: which package may import which, and who owns a dependency
//   - purity: ring, coordinator and handoff touch no clock, goroutine or I/O
//   - package-docs, exported-docs: everything public is explained, once
//   - size: functions, files and parameter lists stay readable
//   - state: no init functions and no mutable package-level variables
//   - names: a package or type is named by its concept
//   - sleep: nothing waits for luck
//   - text: nothing in the repository belongs to one machine only
//   - links, examples: documents point at what exists
//
// A [Rule] finds places, and knows why they matter; the reason is part of the
// failure, since a rule that cannot say why is one that people work around.
//
// # How it works
//
// [Load] parses every Go file a person wrote (generated ones, testdata and
// nested modules are left out) and keeps the text of all others. Rules work on
// syntax alone: no type checking, no build, so the whole takes about a second
// and also works in the middle of a change that does not compile yet.
//
// # How to change it
//
// What may import what is the table in imports.go; what purity allows, and its
// exceptions with their reasons, the tables in purity.go; limits are constants
// in size.go. One place is excused from the sleep rule by a comment on its line
// or the line above, which gives the reason:
//
//	//archtest:sleep polls another process, which has no clock of ours
//
// Each rule is proven by seeds in rules_test.go: small sources that break it,
// with the findings they must cause. A rule without a seed fails the tests.
package archtest
