package main

// Whole checks against whole services: what is counted, and under which name.

import (
	"bytes"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

func TestEveryRequestIsCountedOnce(t *testing.T) {
	var asked atomic.Int64
	url, _ := serve(t, func(w http.ResponseWriter, r *http.Request) {
		asked.Add(1)
		body, _ := io.ReadAll(r.Body)
		if r.Method != "POST" || r.URL.Path != "/predict" || !bytes.Contains(body, []byte("land_area_sqft")) {
			t.Errorf("asked %s %s with %s", r.Method, r.URL.Path, body)
		}
		saying(200, goodBody)(w, r)
	})

	code, r, shown := check(t, "-rate", "500", "-requests", "100", url+"/")

	if code != exitNothingLost || r.Requests != 100 || r.OK != 100 || r.Lost != 0 || asked.Load() != 100 {
		t.Errorf("exit %d, %d asked, report %+v", code, asked.Load(), r)
	}
	if !strings.Contains(shown, "✓ nothing lost: 100 requests") {
		t.Errorf("the summary is %q", shown)
	}
}

func TestADurationHoldsAsManyRequestsAsTheRateSays(t *testing.T) {
	url, _ := serve(t, saying(200, goodBody))

	_, r, _ := check(t, "-rate", "200", "-duration", "500ms", url)

	if r.Requests != 100 {
		t.Errorf("%d requests in half a second at 200/s", r.Requests)
	}
}

func TestARequestThatIsFreshHasAConnectionOfItsOwn(t *testing.T) {
	url, connections := serve(t, saying(200, goodBody))

	check(t, "-rate", "200", "-requests", "100", "-fresh", "1", url)

	if n := connections.Load(); n != 100 {
		t.Errorf("%d connections for 100 requests", n)
	}
}

func TestTheScheduleDoesNotWaitForAnswers(t *testing.T) {
	var underWay atomic.Int64
	all := make(chan struct{})
	url, _ := serve(t, func(w http.ResponseWriter, r *http.Request) {
		if underWay.Add(1) == 50 {
			close(all)
		}
		select { // nobody is answered before all have asked
		case <-all:
			saying(200, goodBody)(w, r)
		case <-r.Context().Done():
		}
	})

	_, r, _ := check(t, "-rate", "100", "-requests", "50", "-timeout", "30s", url)

	if r.OK != 50 {
		t.Errorf("%d answers; %d were under way together", r.OK, underWay.Load())
	}
}

func TestLatencyCountsFromWhenARequestWasDue(t *testing.T) {
	url, _ := serve(t, func(w http.ResponseWriter, r *http.Request) {
		time.Sleep(100 * time.Millisecond)
		saying(200, goodBody)(w, r)
	})

	_, r, _ := check(t, "-rate", "50", "-requests", "10", url)

	if r.P50MS < 100 || r.P99MS < r.P50MS || r.MaxMS < r.P99MS {
		t.Errorf("p50 %v, p99 %v, max %v ms", r.P50MS, r.P99MS, r.MaxMS)
	}
}

// hangUp ends a connection without a word.
func hangUp(w http.ResponseWriter, _ *http.Request) {
	connection, _, err := w.(http.Hijacker).Hijack()
	if err == nil {
		connection.Close()
	}
}

// breakOff promises more than it sends.
func breakOff(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Content-Length", "500")
	fmt.Fprint(w, goodBody)
}

// hang answers long after anybody waits.
func hang(_ http.ResponseWriter, r *http.Request) {
	select {
	case <-r.Context().Done():
	case <-time.After(2 * time.Second):
	}
}

func TestEachLossHasItsKind(t *testing.T) {
	tests := []struct {
		name    string
		handler http.HandlerFunc
		kind    string
		detail  string
	}{
		{"a connection closed without an answer", hangUp, "reset", "EOF"},
		{"an answer broken off", breakOff, "reset", "unexpected EOF"},
		{"no answer in time", hang, "timeout", "no whole answer within 200ms, on a new connection"},
		{"not ready", saying(503, "warming up"), "status 503", "warming up"},
		{"a redirect is not followed", http.RedirectHandler("/elsewhere", http.StatusFound).ServeHTTP, "status 302", ""},
		{"no JSON", saying(200, "<html>"), "body", "invalid character"},
		{"no price", saying(200, `{"interval_usd":{"low":1,"high":2}}`), "body", "no price_usd"},
		{"no interval", saying(200, `{"price_usd":444343.1}`), "body", "no interval_usd"},
		{"half an interval", saying(200, `{"price_usd":444343.1,"interval_usd":{"high":882443.58}}`), "body", "no interval_usd"},
		{"price below its interval", saying(200, `{"price_usd":9e5,"interval_usd":{"low":1e6,"high":2e6}}`), "body", "outside its interval"},
		{"price above its interval", saying(200, `{"price_usd":9e5,"interval_usd":{"low":1,"high":2}}`), "body", "outside its interval"},
		{"too cheap", saying(200, `{"price_usd":9,"interval_usd":{"low":1,"high":10},"model_version":"v1"}`), "price", "9.00 USD is not between"},
		{"too dear", saying(200, `{"price_usd":9e9,"interval_usd":{"low":1,"high":1e10},"model_version":"v1"}`), "price", "is not between"},
		{"wrong version", saying(200, strings.Replace(goodBody, "v1", "v3", 1)), "version", `unknown version "v3"`},
		{"no version", saying(200, strings.Replace(goodBody, "v1", "", 1)), "version", `unknown version ""`},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			url, _ := serve(t, test.handler)

			timeout := "30s" // a busy computer is no loss
			if test.kind == kindTimeout {
				timeout = "200ms"
			}

			code, r, shown := check(t, "-requests", "4", "-timeout", timeout, "-versions", "v1,v2", url)

			if code != exitLost || r.Lost != 4 || r.LostByKind[test.kind] != 4 {
				t.Fatalf("exit %d, lost %v, losses %+v", code, r.LostByKind, r.Losses)
			}
			if !strings.Contains(r.Losses[0].Detail, test.detail) {
				t.Errorf("the detail is %q", r.Losses[0].Detail)
			}
			if !strings.Contains(shown, "✗ 4 of 4 requests lost") || !strings.Contains(shown, "first loss of kind "+test.kind) {
				t.Errorf("shown: %s", shown)
			}
		})
	}
}

func TestAServiceThatIsNotThereIsAConnectLoss(t *testing.T) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	listener.Close() // nobody has this port now

	code, r, _ := check(t, "-requests", "3", "http://"+listener.Addr().String())

	if code != exitLost || r.LostByKind[kindConnect] != 3 || r.Versions == nil || len(r.Versions) != 0 {
		t.Errorf("exit %d, report %+v", code, r)
	}
}

func TestAKeptConnectionThatTheServerClosesIsALossAndNoSecondTry(t *testing.T) {
	var asked atomic.Int64
	url, _ := serve(t, func(w http.ResponseWriter, r *http.Request) {
		if asked.Add(1)%2 == 0 {
			hangUp(w, r) // each second request of a connection
			return
		}
		saying(200, goodBody)(w, r)
	})

	_, r, _ := check(t, "-requests", "10", "-rate", "20", "-fresh", "0", url)

	if asked.Load() != 10 || r.OK != 5 || r.LostByKind[kindReset] != 5 {
		t.Errorf("asked %d times, %d ok, lost %v", asked.Load(), r.OK, r.LostByKind)
	}
}

func TestTheHeaderNamesTheVersionBeforeTheBodyDoes(t *testing.T) {
	var asked atomic.Int64
	url, _ := serve(t, func(w http.ResponseWriter, r *http.Request) {
		if asked.Add(1) > 15 {
			w.Header().Set("X-Service-Version", "v2")
		}
		saying(200, goodBody)(w, r)
	})

	code, r, shown := check(t, "-requests", "20", "-rate", "20", "-versions", "v1,v2", url)

	if code != exitNothingLost || r.Versions["v1"].OK != 15 || r.Versions["v2"].OK != 5 {
		t.Errorf("exit %d, versions %+v", code, r.Versions)
	}
	if r.Versions["v1"].P50MS <= 0 || r.Versions["v2"].P99MS <= 0 {
		t.Errorf("no latencies in %+v", r.Versions)
	}
	if strings.Index(shown, "first answer of v1") > strings.Index(shown, "first answer of v2") {
		t.Errorf("shown: %s", shown)
	}
}

func TestAPriceIsComparedWithTheOneInTheFile(t *testing.T) {
	tests := []struct {
		expected string
		lost     int
	}{
		{"444343.1", 0},
		{"444380", 0},   // 0.008 % off
		{"444400", 1},   // 0.013 % off
		{"888686.2", 1}, // double
	}
	for _, test := range tests {
		t.Run(test.expected, func(t *testing.T) {
			url, _ := serve(t, saying(200, goodBody))
			path := filepath.Join(t.TempDir(), "houses.json")
			text := `[{"house": {"bedrooms": 3}, "price_usd": ` + test.expected + `}]`
			if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
				t.Fatal(err)
			}

			_, r, _ := check(t, "-requests", "1", "-houses", path, url)

			if r.Lost != test.lost || r.LostByKind[kindPrice] != test.lost {
				t.Errorf("lost %v: %+v", r.LostByKind, r.Losses)
			}
		})
	}
}

func TestAnotherPathIsAskedAndItsAnswerNeedsNoPrice(t *testing.T) {
	const answer = `{"predictions":[444343.1]}`
	tests := []struct {
		name    string
		handler http.HandlerFunc
		kind    string // empty: nothing is lost
	}{
		{"JSON of another shape", saying(200, answer), ""},
		{"JSON that is no object", saying(200, "[444343.1]"), ""},
		{"an answer of /predict", saying(200, goodBody), ""},
		{"an answer of /predict with a price that is not credible", saying(200, strings.Replace(goodBody, "444343.1", "1e9", 1)), "body"},
		{"no JSON", saying(200, "<html>"), "body"},
		{"another status", saying(503, answer), "status 503"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			url, _ := serve(t, func(w http.ResponseWriter, r *http.Request) {
				if r.URL.Path != "/v1/models/house:predict" {
					t.Errorf("asked %s", r.URL.Path)
				}
				test.handler(w, r)
			})

			_, r, _ := check(t, "-requests", "2", "-path", "/v1/models/house:predict", url)

			if lost := min(1, len(test.kind)) * 2; r.Lost != lost || r.LostByKind[test.kind] != lost {
				t.Errorf("lost %v: %+v", r.LostByKind, r.Losses)
			}
		})
	}
}

func TestOnAnotherPathTheVersionIsCheckedToo(t *testing.T) {
	url, _ := serve(t, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("X-Service-Version", "v3")
		saying(200, "{}")(w, r)
	})

	_, r, _ := check(t, "-requests", "2", "-path", "/other", "-versions", "v1,v2", url)

	if r.LostByKind[kindVersion] != 2 {
		t.Errorf("lost %v", r.LostByKind)
	}
}

func TestOnlyTheFirstLossesAreKeptInDetail(t *testing.T) {
	url, _ := serve(t, saying(500, "no"))

	_, r, _ := check(t, "-requests", "30", "-rate", "300", url)

	if r.Lost != 30 || len(r.Losses) != maxLossesKept {
		t.Errorf("%d lost, %d kept", r.Lost, len(r.Losses))
	}
}

func TestAsManyVersionsAsAnswersFillNoMemory(t *testing.T) {
	var asked atomic.Int64
	url, _ := serve(t, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("X-Service-Version", fmt.Sprint(asked.Add(1)))
		saying(200, goodBody)(w, r)
	})

	_, r, _ := check(t, "-requests", "100", "-rate", "500", url)

	if len(r.Versions) != maxVersions+1 || r.Versions[otherVersions].OK != 50 {
		t.Errorf("%d versions, %d others", len(r.Versions), r.Versions[otherVersions].OK)
	}
}

func TestConnectionsGoStraightAndAreLetGoBeforeServersDoSo(t *testing.T) {
	// Go itself goes past a proxy for loopback, so no request could show this: the transport is looked at instead.
	kept := newProber(options{}).kept.(*http.Transport)

	if kept.Proxy != nil {
		t.Error("a proxy would stand between")
	}
	if kept.MaxIdleConnsPerHost < maxInFlight {
		t.Errorf("only %d connections are kept", kept.MaxIdleConnsPerHost)
	}
	if kept.IdleConnTimeout <= 0 || kept.IdleConnTimeout >= 5*time.Second {
		t.Errorf("an idle connection is kept for %v; uvicorn closes it after 5 s", kept.IdleConnTimeout)
	}
}
