package main

import (
	"fmt"
	"strings"
)

// shop is where a user is in the dialogue that books a hotel: the same answer
// means something else in each state. It is part of the connection, not of a
// vnode: nobody else sees it, it lasts some seconds, and who loses the connection
// begins again. A booking itself would be a command under the user's key.
type shop struct {
	asking question
	city   city
	hotel  hotel
}

type question int

const (
	nothing question = iota
	whichCity
	whichHotel
	whetherToBook
)

type city struct {
	name   string
	hotels [2]hotel
}

type hotel struct {
	name  string
	price int
}

// cities are those that one can go to.
func cities() [2]city {
	return [2]city{
		{"Stockholm", [2]hotel{{"Hotel Mnesia", 120}, {"The Old Switch", 95}}},
		{"Krakow", [2]hotel{{"Dragon Inn", 60}, {"Hotel Wawel", 85}}},
	}
}

// enter begins the dialogue.
func (s *shop) enter() string {
	*s = shop{asking: whichCity}
	return s.question()
}

func (s *shop) question() string {
	switch s.asking {
	case whichCity:
		return fmt.Sprintf("where do you want to go?\n  a: %s\n  b: %s\n", cities()[0].name, cities()[1].name)
	case whichHotel:
		return fmt.Sprintf("which hotel in %s?\n  a: %s\n  b: %s\n", s.city.name, s.city.hotels[0].name, s.city.hotels[1].name)
	case whetherToBook:
		return fmt.Sprintf("%s is %d a night. book it? (y/n)\n", s.hotel.name, s.hotel.price)
	case nothing:
	}
	return ""
}

// hear takes an answer, and says whether it was one.
func (s *shop) hear(line string) (string, bool) {
	choice := strings.Index("ab", line)
	switch {
	case len(line) != 1 || s.asking == nothing:
		return "", false
	case s.asking == whichCity && choice >= 0:
		s.city, s.asking = cities()[choice], whichHotel
	case s.asking == whichHotel && choice >= 0:
		s.hotel, s.asking = s.city.hotels[choice], whetherToBook
	case s.asking == whetherToBook && line == "y":
		*s = shop{}
		return "ok, you booked a hotel!\n", true
	case s.asking == whetherToBook && line == "n":
		*s = shop{}
		return "ok, another time\n", true
	default:
		return "", false
	}
	return s.question(), true
}
