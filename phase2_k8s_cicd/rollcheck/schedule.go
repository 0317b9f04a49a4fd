package main

// The open loop: requests leave when they are due, whatever became of those before. A closed loop, which waits for an
// answer before it asks again, would ask least just when the service is worst.

import (
	"context"
	"math/rand/v2"
	"sync"
	"time"
)

// askOnSchedule sends requests until ctx is done or the options say that it is enough. It returns when the last one
// under way has its outcome.
func askOnSchedule(ctx context.Context, o options, p *prober, started time.Time, outcomes chan<- outcome) {
	var underWay sync.WaitGroup
	defer underWay.Wait()
	slots := make(chan struct{}, maxInFlight) // holds one token for each request under way

	for i := 0; o.requests == 0 || i < o.requests; i++ {
		at := time.Duration(float64(i) / o.rate * float64(time.Second))
		due := started.Add(at)
		if at >= o.duration || !sleepUntil(ctx, due) {
			return
		}
		h, fresh := o.houses[i%len(o.houses)], rand.Float64() < o.fresh

		select {
		case slots <- struct{}{}:
			underWay.Go(func() {
				result := p.ask(h, fresh, due)
				result.at = at
				outcomes <- result
				<-slots
			})
		default:
			outcomes <- outcome{at: at, fresh: fresh, unasked: true}
		}
	}
}

// sleepUntil waits for a moment and says whether it came before the end of ctx.
func sleepUntil(ctx context.Context, moment time.Time) bool {
	if ctx.Err() != nil {
		return false
	}
	select {
	case <-ctx.Done():
		return false
	case <-time.After(time.Until(moment)):
		return true
	}
}
