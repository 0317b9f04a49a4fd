//go:build exercise6

package main

// Exercise 6: a redirect has a kind of its own, and says where it wanted to go.

import (
	"net/http"
	"strings"
	"testing"
)

func TestExercise6ARedirectIsAKindOfItsOwn(t *testing.T) {
	for _, status := range []int{301, 302, 303, 307, 308} {
		url, _ := serve(t, http.RedirectHandler("/maintenance", status).ServeHTTP)

		code, r, _ := check(t, "-requests", "2", url)

		if code != exitLost || r.LostByKind["redirect"] != 2 {
			t.Fatalf("%d: exit %d, lost %v", status, code, r.LostByKind)
		}
		if !strings.Contains(r.Losses[0].Detail, "/maintenance") {
			t.Errorf("%d: the detail %q does not say where to", status, r.Losses[0].Detail)
		}
	}
}

func TestExercise6OtherStatusesKeepTheirKind(t *testing.T) {
	for status, kind := range map[int]string{304: "status 304", 404: "status 404", 500: "status 500"} {
		url, _ := serve(t, saying(status, ""))

		_, r, _ := check(t, "-requests", "1", url)

		if r.LostByKind[kind] != 1 {
			t.Errorf("%d: lost %v", status, r.LostByKind)
		}
	}
}
