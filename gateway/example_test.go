package gateway_test

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"

	torc "github.com/torc-io/torc"
	"github.com/torc-io/torc/gateway"
	"github.com/torc-io/torc/ping"
)

// Any program that speaks HTTP can execute a command. The key "bXlfa2V5" is
// my_key in base64.
func Example() {
	ctx := context.Background()
	commands := gateway.New(gateway.Config{})
	mux := http.NewServeMux()
	for _, path := range gateway.Paths() {
		mux.Handle(path, commands)
	}
	server := httptest.NewServer(mux)
	defer server.Close()

	node, err := torc.Start(ctx, torc.Config{Name: "solo"}, ping.New())
	if err != nil {
		panic(err)
	}
	commands.Attach(node)

	response, err := http.Post(server.URL+"/torc.v1.CommandService/Execute", "application/json",
		strings.NewReader(`{"service": "ping", "command": "Ping", "message": {"key": "bXlfa2V5"}}`))
	if err != nil {
		panic(err)
	}
	defer response.Body.Close()
	var answer struct {
		Reply struct {
			Node string `json:"node"`
		} `json:"reply"`
	}
	if err := json.NewDecoder(response.Body).Decode(&answer); err != nil {
		panic(err)
	}
	fmt.Println(response.Status, answer.Reply.Node)

	commands.Drain()
	if err := node.Shutdown(ctx); err != nil {
		panic(err)
	}
	// Output: 200 OK solo
}
