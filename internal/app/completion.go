package app

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/alecthomas/kong"
)

type completionCommand struct {
	Shell string `arg:"" enum:"bash,zsh,fish" help:"Shell (${enum})."`
}

// Run prints a script that completes commands and flags.
func (c completionCommand) Run(d *Desk) error {
	words := map[string][]string{}
	collect(words, "", d.parser.Model.Node)
	var b strings.Builder
	if c.Shell == "fish" {
		fishCompletion(&b, words)
	} else {
		shellCompletion(&b, c.Shell, words)
	}
	_, err := fmt.Fprint(d.Out(), b.String())
	return err
}

// sortedKeys puts longer commands before those they begin with.
func sortedKeys(words map[string][]string) []string {
	return slices.SortedFunc(maps.Keys(words), func(a, b string) int { return cmp.Compare(b, a) })
}

// collect lists what can follow each command.
func collect(words map[string][]string, path string, n *kong.Node) {
	list := []string{}
	for _, child := range n.Children {
		if !child.Hidden {
			list = append(list, child.Name)
			collect(words, strings.TrimSpace(path+" "+child.Name), child)
		}
	}
	for _, flags := range n.AllFlags(true) {
		for _, f := range flags {
			list = append(list, "--"+f.Name)
		}
	}
	words[path] = list
}

func shellCompletion(b *strings.Builder, shell string, words map[string][]string) {
	if shell == "zsh" {
		b.WriteString("autoload -U +X bashcompinit && bashcompinit\n")
	}
	b.WriteString("_seimon() {\n  local path=\"\" w\n  for w in \"${COMP_WORDS[@]:1:COMP_CWORD-1}\"; do\n" +
		"    case \"$w\" in -*) ;; *) path=\"${path:+$path }$w\" ;; esac\n  done\n  case \"$path\" in\n")
	for _, path := range sortedKeys(words) {
		if path != "" {
			fmt.Fprintf(b, "    %q*) w=%q ;;\n", path, strings.Join(words[path], " "))
		}
	}
	fmt.Fprintf(b, "    *) w=%q ;;\n  esac\n", strings.Join(words[""], " "))
	b.WriteString("  COMPREPLY=($(compgen -f -W \"$w\" -- \"${COMP_WORDS[COMP_CWORD]}\"))\n}\ncomplete -o filenames -F _seimon seimon\n")
}

func fishCompletion(b *strings.Builder, words map[string][]string) {
	for _, path := range sortedKeys(words) {
		condition := "__fish_use_subcommand"
		if path != "" {
			condition = "__fish_seen_subcommand_from " + strings.ReplaceAll(path, " ", "; and __fish_seen_subcommand_from ")
		}
		for _, word := range words[path] {
			if flag, ok := strings.CutPrefix(word, "--"); ok {
				fmt.Fprintf(b, "complete -c seimon -n %q -l %s\n", condition, flag)
			} else {
				fmt.Fprintf(b, "complete -c seimon -n %q -a %s\n", condition, word)
			}
		}
	}
}
