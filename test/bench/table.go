package main

import (
	"fmt"
	"strings"
)

// row is one line of the table.
type row struct {
	what, figure, latency, floor, ratio, target string
	cost                                        cost
}

func (b *bench) row(r row) {
	b.rows = append(b.rows, r)
	fmt.Fprintf(b.progress, "%s: %s  [p50/p95/p99 ms %s]  floor %s  ratio %s  target %s  cost %s ms  (program/generator/others %%: %s)\n",
		r.what, r.figure, dash(r.latency), dash(r.floor), dash(r.ratio), dash(r.target), dash(r.cost.each), dash(r.cost.share))
}

func dash(s string) string {
	if s == "" {
		return "–"
	}
	return s
}

// table is the result in Markdown.
func (b *bench) table() string {
	var out strings.Builder
	fmt.Fprintf(&out, "%s; %s; %s.\n\n", machine(), b.database(), b.when.UTC().Format("2006-01-02 15:04 UTC"))
	out.WriteString("| what | figure | p50 / p95 / p99, ms | floor in the same run | ratio | target | processor time of the program for one, ms | processors: program / generator / others, % |\n")
	out.WriteString("| --- | --- | --- | --- | --- | --- | --- | --- |\n")
	for _, r := range b.rows {
		fmt.Fprintf(&out, "| %s | %s | %s | %s | %s | %s | %s | %s |\n", r.what, r.figure, dash(r.latency), dash(r.floor), dash(r.ratio), dash(r.target), dash(r.cost.each), dash(r.cost.share))
	}
	return out.String()
}

func perSecond(rate float64) string {
	if rate < 100 {
		return fmt.Sprintf("%.1f/s", rate)
	}
	return fmt.Sprintf("%.0f/s", rate)
}

func ratio(figure, floor float64) string { return fmt.Sprintf("%.2f", figure/floor) }

func mebibytes(n int64) string { return fmt.Sprintf("%.0f MiB", float64(n)/(1<<20)) }
