package httpapi

import (
	"bufio"
	"flag"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	torc "github.com/torc-io/torc"
)

var rewrite = flag.Bool("rewrite", false, "rewrite testdata/*.txt with what a node answers now")

// TestDialogues plays testdata/*.txt, each on a new node that is alone. Lines
// that begin with > are sent, byte for byte: first the request line, then
// headers, then after an empty one the body. What the node answers stands
// below, behind <, with what differs from run to run masked.
func TestDialogues(t *testing.T) {
	files, err := filepath.Glob("testdata/*.txt")
	if err != nil || len(files) == 0 {
		t.Fatalf("no dialogues: %v", err)
	}
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".txt"), func(t *testing.T) { play(t, file) })
	}
}

func play(t *testing.T, file string) {
	old, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	address := strings.TrimPrefix(startSolo(t).serve(), "http://")
	var now strings.Builder
	for i, block := range strings.Split(strings.TrimSpace(string(old)), "\n\n") {
		if i > 0 {
			now.WriteString("\n")
		}
		now.WriteString(playBlock(t, address, block))
	}
	if *rewrite {
		if err := os.WriteFile(file, []byte(now.String()), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	if now.String() != string(old) {
		t.Errorf("%s differs. Now:\n%s\nIf that is right: go test ./internal/httpapi -rewrite", file, &now)
	}
}

// playBlock sends the request of a block, if it has one, and returns the block
// with the answer.
func playBlock(t *testing.T, address, block string) string {
	var kept strings.Builder
	var sent []string
	for line := range strings.Lines(block + "\n") {
		if strings.HasPrefix(line, "<") {
			continue
		}
		kept.WriteString(line)
		if text, ok := strings.CutPrefix(strings.TrimSuffix(line, "\n"), ">"); ok {
			sent = append(sent, strings.TrimPrefix(text, " "))
		}
	}
	if len(sent) == 0 {
		return kept.String()
	}
	for line := range strings.Lines(exchange(t, address, sent)) {
		kept.WriteString(strings.TrimRight("< "+line, " \n") + "\n")
	}
	return kept.String()
}

// exchange sends a request on a connection of its own and returns the answer.
func exchange(t *testing.T, address string, lines []string) string {
	conn, err := net.Dial("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if err := conn.SetDeadline(time.Now().Add(time.Minute)); err != nil {
		t.Fatal(err)
	}
	if _, err := io.WriteString(conn, requestText(lines)); err != nil {
		t.Fatal(err)
	}
	method, _, _ := strings.Cut(lines[0], " ")
	response, err := http.ReadResponse(bufio.NewReader(conn), &http.Request{Method: method})
	if err != nil {
		t.Fatalf("%s: %v", lines[0], err)
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatalf("%s: %v", lines[0], err)
	}
	return responseText(response, string(body))
}

// requestText completes a request.
func requestText(lines []string) string {
	line, rest := lines[0], lines[1:]
	headers, body := rest, ""
	for i, text := range rest {
		if text == "" {
			headers, body = rest[:i], strings.Join(rest[i+1:], "\n")
			break
		}
	}
	text := line + " HTTP/1.1\r\nHost: solo\r\n"
	for _, header := range headers {
		text += header + "\r\n"
	}
	return fmt.Sprintf("%sContent-Length: %d\r\n\r\n%s", text, len(body), body)
}

// told are the headers that are part of the contract.
var told = []string{"Content-Type", "Etag", "Content-Range", "Allow", "Retry-After", "Location"}

func responseText(response *http.Response, body string) string {
	text := response.Status + "\n"
	for _, name := range told {
		if value := response.Header.Get(name); value != "" {
			text += name + ": " + value + "\n"
		}
	}
	return mask(text + "\n" + body)
}

// masks name what differs from run to run.
var masks = []struct {
	pattern *regexp.Regexp
	name    string
}{
	{regexp.MustCompile(`[0-9a-f]{16}\.[0-9a-f]+@solo/[A-Z2-7]{8}`), "VERSION"},
	{regexp.MustCompile(`"cluster_id":"[A-Z2-7]{26}"`), `"cluster_id":"CLUSTER"`},
	{regexp.MustCompile(`ring [A-Z2-7]{26},`), `ring CLUSTER,`},
	{regexp.MustCompile(`this is [A-Z2-7]{8}\b`), `this is CLUSTER`},
	{regexp.MustCompile(`"incarnation":"\d+"`), `"incarnation":"TIME"`},
	{regexp.MustCompile(`(?:"solo",){119}"solo"`), `"solo" × 120`},
}

func mask(text string) string {
	for _, m := range masks {
		text = m.pattern.ReplaceAllString(text, m.name)
	}
	return text
}

// TestCurlAsInTheReadme: what is put on one node is got from another, byte for
// byte and with its type.
func TestCurlAsInTheReadme(t *testing.T) {
	sites := startThree(t, torc.NewNetwork())
	status, _ := say(t, http.MethodPut, sites[0].serve()+"/api/store/my_key", `{"a":"b"}`)
	if status != http.StatusOK {
		t.Fatalf("PUT: %d", status)
	}
	for _, s := range sites {
		if status, body := say(t, http.MethodGet, s.serve()+"/api/store/my_key", ""); status != http.StatusOK || body != `{"a":"b"}` {
			t.Errorf("GET on %s: %d %s", s.node.Name(), status, body)
		}
	}
}

// oddKeys are keys that something on the way might change.
func oddKeys() []string {
	keys := []string{
		"my_key", "a/b", "/a", "a/", "/", "//", ".", "..", "../..", "a/../b", "%2f", "%252F", "%", " ", " a ",
		"?", "#", "a?b=c#d", "+", "a+b", "a&b=c;d", `"'<>\`, "\x00", "a\x00b", "\r\n", "ключ", "🔑🔑", "\xff\xfe", "\x7f",
		"livez", "api/store/x", strings.Repeat("k", 8<<10),
	}
	for b := range 256 {
		keys = append(keys, string([]byte{'x', byte(b), 'y'}))
	}
	return keys
}

// TestAnyBytesAreAKey: every key finds its own value again, and no other's.
func TestAnyBytesAreAKey(t *testing.T) {
	base := startSolo(t).serve() + "/api/store/"
	keys := oddKeys()
	for i, key := range keys {
		if status, answer := say(t, http.MethodPut, base+url.PathEscape(key), fmt.Sprint(i)); status != http.StatusOK {
			t.Errorf("PUT %q: %d %s", key, status, answer)
		}
	}
	for i, key := range keys {
		if status, value := say(t, http.MethodGet, base+url.PathEscape(key), ""); status != http.StatusOK || value != fmt.Sprint(i) {
			t.Errorf("GET %q: %d %s, want %d", key, status, value, i)
		}
	}
}
