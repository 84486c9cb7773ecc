package main

import (
	"context"
	"os"
	"os/exec"
	"testing"
	"time"

	"github.com/chromedp/chromedp"
)

// TestPage opens the page in two tabs of a real browser, on two nodes.
func TestPage(t *testing.T) {
	program, err := exec.LookPath("chromium")
	switch {
	case err != nil && os.Getenv("CI") != "":
		t.Fatal("there is no chromium, and CI must run this test: apt-get install chromium")
	case err != nil:
		t.Skip("there is no chromium (Debian's package of that name)")
	}
	sites := startCluster(t, 2)
	options := append(chromedp.DefaultExecAllocatorOptions[:], chromedp.ExecPath(program), chromedp.NoSandbox, chromedp.DisableGPU)
	ctx, cancel := context.WithTimeout(t.Context(), deadline)
	defer cancel()
	ctx, cancel = chromedp.NewExecAllocator(ctx, options...)
	defer cancel()
	one, cancel := chromedp.NewContext(ctx)
	defer cancel()
	loads(t, one, sites[0], "connected to n1")
	two, cancel := chromedp.NewContext(one) // another tab of the same browser
	defer cancel()
	loads(t, two, sites[1], "connected to n2")

	act(t, one, chromedp.Click("#click"))
	shows(t, one, "counter", "1")
	shows(t, two, "counter", "1")
	act(t, two, chromedp.SendKeys("#input", "Ann <b>"), chromedp.Click("#rename button"), chromedp.Click("#click"))
	for _, tab := range []context.Context{one, two} {
		shows(t, tab, "name", "Ann <b>")
		shows(t, tab, "counter", "2")
	}
	shows(t, one, "tabs", "on n1, 1 clicks (this one)\non n2, 1 clicks", "on n2, 1 clicks\non n1, 1 clicks (this one)")
	cancel() // the second tab is closed
	shows(t, one, "tabs", "on n1, 1 clicks (this one)")
	shows(t, one, "counter", "2")
}

func act(t *testing.T, tab context.Context, steps ...chromedp.Action[chromedp.Void]) {
	t.Helper()
	if err := chromedp.Do(tab, steps...); err != nil {
		t.Fatal(err)
	}
}

func loads(t *testing.T, tab context.Context, site, state string) {
	t.Helper()
	act(t, tab, chromedp.Navigate(site+"/?user=42"))
	shows(t, tab, "state", state)
}

// shows waits until an element of the page has one of the texts.
func shows(t *testing.T, tab context.Context, id string, texts ...string) {
	t.Helper()
	const has = `(id, texts) => texts.includes(document.getElementById(id).innerText.trim())`
	if _, err := chromedp.Run(tab, chromedp.PollFunction[bool](has, chromedp.WithPollingInterval(20*time.Millisecond), chromedp.WithPollingArgs(id, texts))); err != nil {
		page, _ := chromedp.Run(tab, chromedp.Text("body"))
		t.Fatalf("#%s does not show %q: %v\n%s", id, texts, err, page)
	}
}
