package web

import (
	"html"
	"html/template"
	"text/template/parse"
)

// fold turns what says the same on every page into text: sentences that nothing fills
// in, and addresses of files. Most of a page is that. It must be done once the words
// have settled and before a template is escaped.
func (t *templates) fold(all *template.Template, say func(id string) (text string, fixed bool)) {
	constant := func(n parse.Node) (string, bool) {
		call, name, ok := fixedCall(n)
		switch {
		case ok && call == "t":
			return say(name)
		case ok && call == "asset" && t.site.assets.has(name):
			return t.site.Asset(name), true
		}
		return "", false
	}
	for _, part := range all.Templates() {
		if part.Tree != nil {
			foldList(part.Tree.Root, constant)
		}
	}
}

// fixedCall reads an action that is one function of one text and nothing else.
func fixedCall(n parse.Node) (call, argument string, ok bool) {
	action, ok := n.(*parse.ActionNode)
	if !ok || len(action.Pipe.Decl) > 0 || len(action.Pipe.Cmds) != 1 || len(action.Pipe.Cmds[0].Args) != 2 {
		return "", "", false
	}
	function, named := action.Pipe.Cmds[0].Args[0].(*parse.IdentifierNode)
	text, given := action.Pipe.Cmds[0].Args[1].(*parse.StringNode)
	if !named || !given {
		return "", "", false
	}
	return function.Ident, text.Text, true
}

// foldList replaces actions in a list and the lists within it. Everywhere outside a tag
// and between quotes the text means what the action meant.
func foldList(list *parse.ListNode, constant func(parse.Node) (string, bool)) {
	if list == nil {
		return
	}
	for i, n := range list.Nodes {
		switch n := n.(type) {
		case *parse.IfNode:
			foldBranch(n.BranchNode, constant)
		case *parse.RangeNode:
			foldBranch(n.BranchNode, constant)
		case *parse.WithNode:
			foldBranch(n.BranchNode, constant)
		case *parse.ActionNode:
			if text, ok := constant(n); ok {
				list.Nodes[i] = &parse.TextNode{NodeType: parse.NodeText, Pos: n.Pos, Text: []byte(html.EscapeString(text))}
			}
		}
	}
}

func foldBranch(n parse.BranchNode, constant func(parse.Node) (string, bool)) {
	foldList(n.List, constant)
	foldList(n.ElseList, constant)
}
