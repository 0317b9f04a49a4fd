package main

// The services that the tests ask: real ones, on loopback.

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
)

// goodBody is what a healthy service says.
const goodBody = `{"price_usd":444343.1,"interval_usd":{"low":223743.24,"high":882443.58,"level":0.9},"model_version":"v1"}`

// saying makes a service that always answers with this status and body.
func saying(status int, body string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(status)
		fmt.Fprint(w, body)
	}
}

// serve starts a service and returns its address, and a counter of the connections that it accepted.
func serve(t *testing.T, handler http.HandlerFunc) (url string, connections *atomic.Int64) {
	t.Helper()
	connections = new(atomic.Int64)
	server := httptest.NewUnstartedServer(handler)
	server.Config.ConnState = func(_ net.Conn, state http.ConnState) {
		if state == http.StateNew {
			connections.Add(1)
		}
	}
	server.Start()
	t.Cleanup(server.Close)
	return server.URL, connections
}

// check runs rollcheck in this process; it returns the exit code, the report and what a person would have read.
func check(t *testing.T, args ...string) (code int, r report, shown string) {
	t.Helper()
	var stdout, stderr bytes.Buffer
	code = run(t.Context(), append([]string{"-report", "-"}, args...), strings.NewReader(""), &stdout, &stderr)
	shown = stdout.String() + stderr.String()
	if code == exitUsage {
		return code, r, shown
	}
	lines := strings.Split(strings.TrimSpace(stdout.String()), "\n")
	if err := json.Unmarshal([]byte(lines[len(lines)-1]), &r); err != nil {
		t.Fatalf("the last line on stdout is no report: %v\n%s", err, stdout.String())
	}
	return code, r, shown
}
