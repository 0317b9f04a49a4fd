package main

// The program as it is used: built, started, told to stop.

import (
	"bytes"
	"encoding/json"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"
)

// build compiles the program as the Dockerfile does and returns its path.
func build(t *testing.T) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "rollcheck")
	command := exec.Command("go", "build", "-trimpath", "-ldflags", "-s -w -X main.version=1.2.3", "-o", path, ".")
	command.Env = append(os.Environ(), "CGO_ENABLED=0")
	if output, err := command.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, output)
	}
	return path
}

func TestSignalsEndItCleanlyWithTheReport(t *testing.T) {
	program := build(t)
	var asked atomic.Int64
	url, _ := serve(t, func(w http.ResponseWriter, r *http.Request) {
		asked.Add(1)
		time.Sleep(300 * time.Millisecond) // so that some are under way at any moment
		saying(200, goodBody)(w, r)
	})
	for _, signal := range []os.Signal{syscall.SIGTERM, syscall.SIGINT} {
		t.Run(signal.String(), func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "report.json")
			var stdout, stderr bytes.Buffer
			command := exec.Command(program, "-duration", "0", "-report", path, url)
			command.Stdout, command.Stderr = &stdout, &stderr
			if err := command.Start(); err != nil {
				t.Fatal(err)
			}
			for before := asked.Load(); asked.Load() < before+40; { // however long a busy computer takes
				time.Sleep(10 * time.Millisecond)
			}
			if err := command.Process.Signal(signal); err != nil {
				t.Fatal(err)
			}
			err := command.Wait()

			if err != nil || !strings.Contains(stdout.String(), "✓ nothing lost") {
				t.Errorf("%v\n%s%s", err, stdout.String(), stderr.String())
			}
			var r report
			text, _ := os.ReadFile(path)
			if err := json.Unmarshal(text, &r); err != nil || r.OK < 40 || r.Lost != 0 {
				t.Errorf("%v, report %s", err, text)
			}
		})
	}
}

func TestTheExitCodesAreThoseOfTheHelp(t *testing.T) {
	program := build(t)
	healthy, _ := serve(t, saying(200, goodBody))
	broken, _ := serve(t, saying(500, ""))
	tests := []struct {
		args []string
		want int
	}{
		{[]string{"-requests", "2", healthy}, exitNothingLost},
		{[]string{"-requests", "2", broken}, exitLost},
		{[]string{"-duration", "1ns", "-rate", "0.001", broken}, exitLost},
		{[]string{"-version"}, exitNothingLost},
		{[]string{}, exitUsage},
	}
	for _, test := range tests {
		command := exec.Command(program, test.args...)
		output, _ := command.CombinedOutput()

		if code := command.ProcessState.ExitCode(); code != test.want {
			t.Errorf("%v: exit %d\n%s", test.args, code, output)
		}
	}
}

func TestTheLinkerSetsTheVersion(t *testing.T) {
	output, err := exec.Command(build(t), "-version").Output()

	if err != nil || string(output) != "rollcheck 1.2.3\n" {
		t.Errorf("%v: %q", err, output)
	}
}

func TestAReportThatCannotBeWrittenIsNoSuccess(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("only Linux has /dev/full")
	}
	url, _ := serve(t, saying(200, goodBody))
	var stdout, stderr bytes.Buffer

	code := run(t.Context(), []string{"-requests", "1", "-report", "/dev/full", url}, nil, &stdout, &stderr)

	if code != exitUsage || !strings.Contains(stderr.String(), "no space left") {
		t.Errorf("exit %d: %s", code, stderr.String())
	}
}

func TestTheReportHasTheNamesThatScriptsRelyOn(t *testing.T) {
	var asked atomic.Int64
	url, _ := serve(t, func(w http.ResponseWriter, r *http.Request) {
		if asked.Add(1) == 1 {
			w.WriteHeader(http.StatusServiceUnavailable)
			return
		}
		saying(200, goodBody)(w, r)
	})
	var stdout, stderr bytes.Buffer
	run(t.Context(), []string{"-requests", "2", "-report", "-", url}, nil, &stdout, &stderr)
	lines := strings.Split(strings.TrimSpace(stdout.String()), "\n")
	var fields map[string]any
	err := json.Unmarshal([]byte(lines[len(lines)-1]), &fields)

	if err != nil || len(fields) != 13 {
		t.Fatalf("%v: %d fields in %s", err, len(fields), lines[len(lines)-1])
	}
	for _, name := range strings.Fields("url started_at seconds requests ok lost not_asked p50_ms p99_ms max_ms versions lost_by_kind losses") {
		if fields[name] == nil {
			t.Errorf("%s is missing or null", name)
		}
	}
	if _, err := time.Parse(time.RFC3339, fields["started_at"].(string)); err != nil {
		t.Error(err)
	}
	version := fields["versions"].(map[string]any)["v1"].(map[string]any)
	for _, name := range strings.Fields("ok p50_ms p99_ms first_s last_s") {
		if version[name] == nil {
			t.Errorf("versions.v1.%s is missing", name)
		}
	}
	lost := fields["losses"].([]any)[0].(map[string]any)
	for _, name := range strings.Fields("at_s kind detail version fresh") {
		if lost[name] == nil {
			t.Errorf("losses[0].%s is missing", name)
		}
	}
}
