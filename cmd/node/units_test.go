package main

import "testing"

func TestRatesAreRead(t *testing.T) {
	for text, want := range map[string]byteRate{
		"0": 0, "auto": 0, "0MB": 0, "1": 1, "512B": 512, "10MB": 1e7, "10mb/s": 1e7, "1.5 kB": 1500, " 3 KiB/s ": 3072,
		"2MiB": 2 << 20, "1GB": 1e9, "4GiB": 4 << 30, "0.1B": 1,
	} {
		var got byteRate
		if err := got.Set(text); err != nil || got != want {
			t.Errorf("%q is %d, want %d: %v", text, got, want, err)
		}
	}
	for _, text := range []string{"", "MB", "-1", "-1MB", "10M", "0x10", "NaN", "Inf", "1 2", "9999999999GB", "10 MB/h"} {
		var got byteRate
		if got.Set(text) == nil {
			t.Errorf("%q is %d", text, got)
		}
	}
}

func TestSizesAreShort(t *testing.T) {
	for bytes, want := range map[float64]string{
		0: "0 B", 999: "999 B", 1000: "1.00 kB", 1234: "1.23 kB", 12345: "12.3 kB", 123456: "123 kB",
		999_999: "1.00 MB", 5e9: "5.00 GB", 7e12: "7000 GB",
	} {
		if got := sizeText(bytes); got != want {
			t.Errorf("%v bytes are %q, want %q", bytes, got, want)
		}
	}
	for rate, want := range map[byteRate]string{0: "0", 1e7: "10.0MB", 512: "512B"} {
		if got := rate.String(); got != want {
			t.Errorf("a rate of %d is %q, want %q", rate, got, want)
		}
	}
}

func TestBarIsAsWideAsItIs(t *testing.T) {
	for _, c := range []struct {
		done, total int64
		want        string
	}{{0, 0, "[####]"}, {0, 4, "[....]"}, {3, 4, "[###.]"}, {399, 400, "[###.]"}, {4, 4, "[####]"}, {9, 4, "[####]"}} {
		if got := barText(4, c.done, c.total); got != c.want {
			t.Errorf("%d of %d is %s, want %s", c.done, c.total, got, c.want)
		}
	}
}
