package main

// Here the command line becomes options that are known to make sense, or one line that says how to mend it.

import (
	"bytes"
	"errors"
	"flag"
	"fmt"
	"io"
	"net/url"
	"strings"
	"time"
)

// The load is bounded by design: this is a check, not a load generator.
const (
	maxRate     = 2000
	maxDuration = 24 * time.Hour
	maxTimeout  = time.Minute
	maxInFlight = 1000
)

// predictPath is where the service prices one house; the shape of its answers is known.
const predictPath = "/predict"

// errVersion says that the user asked for the version and nothing else.
var errVersion = errors.New("version requested")

// options are what the command line asked for.
type options struct {
	url        string        // the base, without a slash at its end
	rate       float64       // requests a second
	duration   time.Duration // never 0: parseOptions replaces that by maxDuration
	requests   int           // 0: no limit
	fresh      float64       // share of requests on a connection of their own
	houses     []house
	path       string // below url, where houses are POSTed
	expect     expectation
	timeout    time.Duration
	reportPath string
	quiet      bool
}

// parseOptions reads the command line, and the houses that it names. Its errors are for the user.
func parseOptions(args []string, stdin io.Reader) (options, error) {
	var o options
	var housesPath, versions string
	flags := newFlagSet(&o, &housesPath, &versions)
	showVersion := flags.Bool("version", false, "print the version and end")

	if err := flags.Parse(args); err != nil {
		if errors.Is(err, flag.ErrHelp) {
			return o, err
		}
		return o, fmt.Errorf("%w; `rollcheck -help` shows all flags", err)
	}
	if *showVersion {
		return o, errVersion
	}
	if flags.NArg() == 0 {
		return o, errors.New("say which service to ask, for example: rollcheck http://house-price-api")
	}
	if flags.NArg() > 1 {
		return o, fmt.Errorf("give one URL, after the flags: what should %q be?", flags.Arg(1))
	}
	if err := o.validate(); err != nil {
		return o, err
	}

	var err error
	if o.url, err = baseURL(flags.Arg(0), o.path); err != nil {
		return o, err
	}
	o.expect.anyShape = o.path != predictPath
	if versions != "" {
		o.expect.versions = strings.Split(versions, ",")
	}
	if o.duration == 0 {
		o.duration = maxDuration
	}
	o.houses, err = loadHouses(housesPath, stdin)
	return o, err
}

// newFlagSet defines every flag; parsing it fills the variables given.
func newFlagSet(o *options, housesPath, versions *string) *flag.FlagSet {
	flags := flag.NewFlagSet("rollcheck", flag.ContinueOnError)
	flags.SetOutput(io.Discard) // run prints the error itself, in one line
	flags.Float64Var(&o.rate, "rate", 50, "`requests` a second, sent on schedule whether or not answers come; at most 2000")
	flags.DurationVar(&o.duration, "duration", time.Minute, "`time` to go on for; 0: until SIGINT or SIGTERM; at most 24h in any case")
	flags.IntVar(&o.requests, "requests", 0, "stop after this `number`; 0: no limit")
	flags.Float64Var(&o.fresh, "fresh", 0.5, "`share` of requests on a connection of their own; the others keep theirs alive")
	flags.StringVar(housesPath, "houses", "", "JSON `file` of houses to ask for; - is stdin; default: a few built-in ones")
	flags.StringVar(&o.path, "path", predictPath, "`path` to POST to; of another than /predict, JSON without a price is a good answer too")
	flags.Float64Var(&o.expect.tolerance, "tolerance", 0.0001, "how far a price may be from the file's, as a `share` of it")
	flags.Float64Var(&o.expect.minUSD, "price-min", 10_000, "lowest credible price, in `USD`")
	flags.Float64Var(&o.expect.maxUSD, "price-max", 20_000_000, "highest credible price, in `USD`")
	flags.StringVar(versions, "versions", "", "`versions` that may answer, as v1,v2; empty: any")
	flags.DurationVar(&o.timeout, "timeout", 5*time.Second, "an answer that takes more than this `time` is lost; at most 1m")
	flags.StringVar(&o.reportPath, "report", "", "`file` for the report as JSON; -: as the last line on stdout")
	flags.BoolVar(&o.quiet, "quiet", false, "no live lines, only the summary")
	return flags
}

// validate refuses values that make no sense, each with the way out.
func (o options) validate() error {
	switch {
	case !(o.rate > 0 && o.rate <= maxRate): // written so that NaN is refused too
		return fmt.Errorf("-rate %v: give requests a second, above 0 and up to %d; this is a check, not a load generator", o.rate, maxRate)
	case o.duration < 0 || o.duration > maxDuration:
		return fmt.Errorf("-duration %v: give up to 24h, or 0 to go on until a signal", o.duration)
	case o.requests < 0:
		return fmt.Errorf("-requests %d: give a number above 0, or 0 for no limit", o.requests)
	case !(o.fresh >= 0 && o.fresh <= 1):
		return fmt.Errorf("-fresh %v: give a share from 0 (all keep their connection) to 1 (none does)", o.fresh)
	case !(o.expect.tolerance >= 0):
		return fmt.Errorf("-tolerance %v: give 0 or more, for example 0.0001 for a hundredth of a percent", o.expect.tolerance)
	case !(o.expect.minUSD <= o.expect.maxUSD):
		return fmt.Errorf("-price-min %v is above -price-max %v: no price could pass", o.expect.minUSD, o.expect.maxUSD)
	case !strings.HasPrefix(o.path, "/") || strings.ContainsAny(o.path, "?# "):
		return fmt.Errorf("-path %q: give a path that begins with /, for example /predict", o.path)
	case o.timeout <= 0 || o.timeout > maxTimeout:
		return fmt.Errorf("-timeout %v: give more than 0 and up to 1m, for example 5s", o.timeout)
	}
	return nil
}

// baseURL checks the address of the service and takes the slash from its end.
func baseURL(text, path string) (string, error) {
	parsed, err := url.Parse(text)
	switch {
	case err != nil || (parsed.Scheme != "http" && parsed.Scheme != "https") || parsed.Host == "":
		return "", fmt.Errorf("%q is not the address of a service; it looks like http://house-price-api:5000", text)
	case parsed.User != nil:
		return "", errors.New("leave user and password out of the URL: it is written to the report")
	case parsed.RawQuery != "" || parsed.Fragment != "" || strings.HasSuffix(parsed.Path, path):
		return "", fmt.Errorf("%q: give the base of the service alone; %s is added to it", text, path)
	}
	return strings.TrimRight(text, "/"), nil
}

// helpText is what -help prints.
func helpText() string {
	var text bytes.Buffer
	fmt.Fprint(&text, `usage: rollcheck [flags] URL

Keeps asking URL/predict (or -path) for prices and counts what got lost, above all while the
service is replaced. It never asks twice for the same answer.

  rollcheck -duration 2m -versions v1,v2 http://house-price-api
  rollcheck -duration 0 -report report.json http://127.0.0.1:5000    # Ctrl-C ends it

`)
	var o options
	var unused string
	flags := newFlagSet(&o, &unused, &unused)
	flags.SetOutput(&text)
	flags.PrintDefaults()
	fmt.Fprint(&text, `  -version
    	print the version and end

The load is bounded by design: at most 2000 requests a second for at most 24h, with
1000 under way. One that could not be sent for that is counted as not asked, and not
as lost: the service never saw it.

exit codes: 0 nothing lost; 1 something lost, or nothing sent; 2 wrong usage, or a
report that cannot be written
`)
	return text.String()
}
