package main

// Quantiles of millions of latencies in a few kilobytes: each is counted in a bucket that is 1 % wider than the one
// before, so a quantile read off the buckets is right to 1 %, however long the run.

import (
	"math"
	"time"
)

const (
	shortest    = 10 * time.Microsecond
	growth      = 1.01
	bucketCount = 1600 // up to 82 s, more than the longest timeout
)

// latencies counts durations by size. Its zero value is ready for use.
type latencies struct {
	buckets [bucketCount]int
	count   int
	max     time.Duration
}

// add counts one latency.
func (l *latencies) add(d time.Duration) {
	l.buckets[bucketOf(d)]++
	l.count++
	l.max = max(l.max, d)
}

// quantile is the latency that a share q of all did not exceed; 0 if there are none.
func (l *latencies) quantile(q float64) time.Duration {
	rank := int(math.Ceil(q * float64(l.count)))
	seen := 0
	for i, n := range l.buckets {
		seen += n
		if n > 0 && seen >= rank {
			return min(upperEnd(i), l.max)
		}
	}
	return 0
}

// bucketOf is the index of the bucket that a latency belongs to.
func bucketOf(d time.Duration) int {
	if d <= shortest {
		return 0
	}
	i := int(math.Log(float64(d)/float64(shortest)) / math.Log(growth))
	return min(i, bucketCount-1)
}

// upperEnd is the longest latency of a bucket.
func upperEnd(i int) time.Duration {
	return time.Duration(float64(shortest) * math.Pow(growth, float64(i+1)))
}
