package main

// Wrong usage gets one line that says how to mend it, and exit code 2.

import (
	"bytes"
	"strings"
	"testing"
	"time"
)

func TestWrongUsageIsOneLineThatHelps(t *testing.T) {
	const url = "http://127.0.0.1:1"
	tests := []struct {
		args string
		want string
	}{
		{"", "for example: rollcheck http://house-price-api"},
		{url + " -rate 5", "after the flags"},
		{"-rate 2001 " + url, "up to 2000"},
		{"-rate 0 " + url, "above 0"},
		{"-rate NaN " + url, "above 0"},
		{"-rate fast " + url, "rollcheck -help"},
		{"-speed 5 " + url, "rollcheck -help"},
		{"-duration 24h1s " + url, "up to 24h"},
		{"-duration -1s " + url, "up to 24h"},
		{"-requests -1 " + url, "0 for no limit"},
		{"-fresh 1.1 " + url, "from 0"},
		{"-tolerance -1 " + url, "0 or more"},
		{"-price-min 9 -price-max 8 " + url, "no price could pass"},
		{"-timeout 0 " + url, "for example 5s"},
		{"-timeout 2m " + url, "up to 1m"},
		{"-path predict " + url, "begins with /"},
		{"-path /v1?x=1 " + url, "begins with /"},
		{"-path /v1/house:predict http://house/v1/house:predict", "/v1/house:predict is added"},
		{"-houses no-such-file " + url, "no-such-file"},
		{"-report no-such-folder/report.json " + url, "no-such-folder"},
		{"house-price-api", "looks like http://"},
		{"ftp://house-price-api", "looks like http://"},
		{"http://", "looks like http://"},
		{"http://me:secret@house", "leave user and password out"},
		{"http://house/predict", "/predict is added"},
		{"http://house?x=1", "/predict is added"},
	}
	for _, test := range tests {
		t.Run(test.args, func(t *testing.T) {
			var stdout, stderr bytes.Buffer

			code := run(t.Context(), strings.Fields(test.args), nil, &stdout, &stderr)

			line := stderr.String()
			if code != exitUsage || !strings.Contains(line, test.want) || strings.Count(line, "\n") != 1 || stdout.Len() > 0 {
				t.Errorf("exit %d: %q", code, line)
			}
			if strings.Contains(line, "secret") {
				t.Error("it shows the password")
			}
		})
	}
}

func TestHelpNamesEveryFlagAndTheBounds(t *testing.T) {
	var stdout, stderr bytes.Buffer

	code := run(t.Context(), []string{"-help"}, nil, &stdout, &stderr)

	if code != exitNothingLost || stderr.Len() > 0 {
		t.Errorf("exit %d: %s", code, stderr.String())
	}
	for _, word := range strings.Fields("-rate -duration -requests -fresh -houses -path -tolerance -price-min -price-max -versions" +
		" -timeout -report -quiet -version 2000 24h 1000") {
		if !strings.Contains(stdout.String(), word) {
			t.Errorf("the help does not name %s", word)
		}
	}
}

func TestVersionIsOneLine(t *testing.T) {
	var stdout, stderr bytes.Buffer

	code := run(t.Context(), []string{"-version"}, nil, &stdout, &stderr)

	if code != exitNothingLost || stdout.String() != "rollcheck dev\n" {
		t.Errorf("exit %d: %q", code, stdout.String())
	}
}

func TestTheDefaultsAreThoseOfTheDocument(t *testing.T) {
	o, err := parseOptions([]string{"http://house-price-api/"}, nil)

	if err != nil || o.url != "http://house-price-api" || o.rate != 50 || o.duration != time.Minute || o.requests != 0 ||
		o.fresh != 0.5 || o.timeout != 5*time.Second || o.quiet || o.path != "/predict" || o.expect.anyShape || o.expect.tolerance != 0.0001 ||
		o.expect.minUSD != 10_000 || o.expect.maxUSD != 20_000_000 || o.expect.versions != nil {
		t.Errorf("%v: %+v", err, o)
	}
}

func TestADurationOfZeroStillEndsAfterADay(t *testing.T) {
	o, err := parseOptions([]string{"-duration", "0", "http://house"}, nil)

	if err != nil || o.duration != maxDuration {
		t.Errorf("%v: %v", err, o.duration)
	}
}
