package main

import (
	"context"
	"slices"
	"strings"

	torc "github.com/torc-io/torc"
	sessionspb "github.com/torc-io/torc/proto/torc/examples/sessions/v1"
)

// vnode holds the sessions of the users of one partition. When one changes it
// tells all of the user's tabs, on whatever nodes they are.
type vnode struct {
	*torc.Store[*sessionspb.Session]

	host torc.Host
}

func open(_ context.Context, h torc.Host) (*vnode, error) {
	return &vnode{torc.NewStore(merge), h}, nil
}

// add adds facts to a session, and shows it to its tabs. Each of the three replicas
// does, so that no tab depends on one: what a tab is shown it merges, and does not
// mind to see it again. What gets lost it asks for.
func (v *vnode) add(key []byte, facts *sessionspb.Session) (*sessionspb.Session, error) {
	session, _ := v.Get(key)
	session = merge(session, facts)
	v.Put(key, session)
	for _, tab := range session.GetTabs() {
		if !tab.GetClosed() {
			_ = v.host.Push(torc.Address(tab.GetInbox()), session)
		}
	}
	return session, nil
}

func (v *vnode) addTab(key []byte, tab *sessionspb.Tab) (*sessionspb.Session, error) {
	return v.add(key, &sessionspb.Session{Tabs: []*sessionspb.Tab{tab}})
}

// Open adds a tab.
func (v *vnode) Open(_ context.Context, c *sessionspb.Open) (*sessionspb.Session, error) {
	return v.addTab(c.GetKey(), c.GetTab())
}

// Close remembers that a tab is gone.
func (v *vnode) Close(_ context.Context, c *sessionspb.Close) (*sessionspb.Session, error) {
	return v.addTab(c.GetKey(), c.GetTab())
}

// Click takes a tab's number of clicks: not one more, so that it may come twice.
func (v *vnode) Click(_ context.Context, c *sessionspb.Click) (*sessionspb.Session, error) {
	return v.addTab(c.GetKey(), c.GetTab())
}

// Rename changes the profile.
func (v *vnode) Rename(_ context.Context, c *sessionspb.Rename) (*sessionspb.Session, error) {
	return v.add(c.GetKey(), &sessionspb.Session{Name: c.GetName()})
}

// Look returns the session, an empty one to a user who never had any.
func (v *vnode) Look(_ context.Context, c *sessionspb.Look) (*sessionspb.Session, error) {
	session, _ := v.Get(c.GetKey())
	return merge(session, nil), nil
}

// live is the service and its commands.
type live struct {
	*torc.Service[*vnode]
	open   torc.Command[*sessionspb.Open, *sessionspb.Session]
	close  torc.Command[*sessionspb.Close, *sessionspb.Session]
	click  torc.Command[*sessionspb.Click, *sessionspb.Session]
	rename torc.Command[*sessionspb.Rename, *sessionspb.Session]
	look   torc.Command[*sessionspb.Look, *sessionspb.Session]
}

func newLive() *live {
	s := torc.NewService("sessions", torc.Quorum{N: 3, R: 2, W: 2}, open)
	all := torc.Resolve(merge)
	return &live{
		Service: s,
		open:    torc.HandleWrite(s, (*vnode).Open, all),
		close:   torc.HandleWrite(s, (*vnode).Close, all),
		click:   torc.HandleWrite(s, (*vnode).Click, all),
		rename:  torc.HandleWrite(s, (*vnode).Rename, all),
		look:    torc.HandleRead(s, (*vnode).Look, all),
	}
}

// merge returns the session that knows what either knows: the later name, and the
// tabs of both.
func merge(a, b *sessionspb.Session) *sessionspb.Session {
	return &sessionspb.Session{Name: later(a.GetName(), b.GetName()), Tabs: mergeTabs(a.GetTabs(), b.GetTabs())}
}

func later(a, b *sessionspb.Name) *sessionspb.Name {
	if a == nil || b.GetTime() > a.GetTime() || b.GetTime() == a.GetTime() && b.GetText() > a.GetText() {
		return b
	}
	return a
}

// mergeTabs returns all tabs by id. Of one that both know it is the larger number
// of clicks that is newer, and closed is for ever.
func mergeTabs(a, b []*sessionspb.Tab) (all []*sessionspb.Tab) {
	byID := func(a, b *sessionspb.Tab) int { return strings.Compare(a.GetId(), b.GetId()) }
	both := slices.Concat(a, b)
	slices.SortStableFunc(both, byID)
	for _, tab := range both {
		last := len(all) - 1
		if last < 0 || byID(all[last], tab) != 0 {
			all = append(all, tab)
			continue
		}
		all[last] = &sessionspb.Tab{
			Id: tab.GetId(), Inbox: max(all[last].GetInbox(), tab.GetInbox()),
			Clicks: max(all[last].GetClicks(), tab.GetClicks()), Closed: all[last].GetClosed() || tab.GetClosed(),
		}
	}
	return all
}

// counter is the user's number of clicks, in all tabs that there ever were.
func counter(s *sessionspb.Session) (sum int64) {
	for _, tab := range s.GetTabs() {
		sum += tab.GetClicks()
	}
	return sum
}
