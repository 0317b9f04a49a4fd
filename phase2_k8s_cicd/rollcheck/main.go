// Rollcheck asks a house-price service for prices while it is being replaced, and counts what got lost: only someone
// who keeps asking can say whether a rollout was seamless.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"
)

// version is set by the linker: go build -ldflags "-X main.version=1.2.3".
var version = "dev"

// The exit codes, which scripts rely on.
const (
	exitNothingLost = 0
	exitLost        = 1
	exitUsage       = 2
)

func main() {
	// The first SIGINT or SIGTERM cancels ctx, which ends the asking; the report follows as always.
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	os.Exit(run(ctx, os.Args[1:], os.Stdin, os.Stdout, os.Stderr))
}

// run is main without the process around it, so that tests can call it. It returns the exit code.
func run(ctx context.Context, args []string, stdin io.Reader, stdout, stderr io.Writer) int {
	o, err := parseOptions(args, stdin)
	switch {
	case errors.Is(err, flag.ErrHelp):
		fmt.Fprint(stdout, helpText())
		return exitNothingLost
	case errors.Is(err, errVersion):
		fmt.Fprintln(stdout, "rollcheck", version)
		return exitNothingLost
	case err != nil:
		fmt.Fprintln(stderr, "rollcheck:", err)
		return exitUsage
	}
	r, err := watch(ctx, o, stdout, stderr)
	if err != nil {
		fmt.Fprintln(stderr, "rollcheck:", err)
		return exitUsage
	}
	if r.Lost > 0 || r.Requests == 0 {
		return exitLost
	}
	return exitNothingLost
}

// watch runs the whole check and returns its report. An error means that there is none, or that it cannot be kept.
func watch(ctx context.Context, o options, stdout, stderr io.Writer) (report, error) {
	// Opened first: whoever mistypes the path learns it now and not in an hour.
	file, err := createReport(o.reportPath, stdout)
	if err != nil {
		return report{}, err
	}

	t := newTally()
	outcomes := make(chan outcome, maxInFlight)
	go func() {
		defer close(outcomes) // tells collect that there is no more to come
		askOnSchedule(ctx, o, newProber(o), t.started, outcomes)
	}()
	collect(outcomes, t, newLive(o, stderr))

	r := t.report(o.url)
	r.writeSummary(stdout)
	return r, errors.Join(r.writeJSON(file), file.Close())
}
