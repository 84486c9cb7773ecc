package actors

import "github.com/asynkron/protoactor-go/actor"

// minDeque is the smallest backing array of a deque; it is also what an idle
// vnode keeps, so it is small.
const minDeque = 8

// keepDeque is the largest backing array that an empty deque keeps. A burst
// must not cost its memory for ever, nor a steady load an allocation a command.
const keepDeque = 128

// deque is a FIFO queue in a ring buffer that grows by doubling and shrinks
// when it runs empty.
type deque struct {
	buffer []*actor.MessageEnvelope // its length is a power of two, or 0
	head   int                      // of the first element
	length int
}

func (d *deque) push(e *actor.MessageEnvelope) {
	if d.length == len(d.buffer) {
		d.resize(max(minDeque, 2*d.length))
	}
	d.buffer[(d.head+d.length)&(len(d.buffer)-1)] = e
	d.length++
}

// pop removes the first element; the deque must not be empty.
func (d *deque) pop() *actor.MessageEnvelope {
	e := d.buffer[d.head]
	d.buffer[d.head] = nil
	d.head = (d.head + 1) & (len(d.buffer) - 1)
	d.length--
	if d.length == 0 && len(d.buffer) > keepDeque {
		*d = deque{}
	}
	return e
}

// drain removes and returns everything.
func (d *deque) drain() []*actor.MessageEnvelope {
	all := make([]*actor.MessageEnvelope, 0, d.length)
	for d.length > 0 {
		all = append(all, d.pop())
	}
	return all
}

func (d *deque) resize(size int) {
	grown := make([]*actor.MessageEnvelope, size)
	for i := range d.length {
		grown[i] = d.buffer[(d.head+i)&(len(d.buffer)-1)]
	}
	d.buffer, d.head = grown, 0
}
