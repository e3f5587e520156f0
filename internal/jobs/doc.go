// Package jobs does work in the background: tasks that a transaction leaves
// behind, and work that comes round again.
//
// A task is submitted in the transaction of the thing that makes it necessary and
// runs once that is durable, on any node. A node holds a task by a lease that it
// renews; if the node dies, the lease ends and another takes over, so a handler
// must bear being run twice. A failed task waits longer each time and in the end
// is kept as dead, to be seen and revived. Periodic work runs on one node at a
// time, by the same kind of lease.
//
// Decisions take the time of the transaction (Now). The room does not know what
// the work is (the rooms that submit and handle it) or how it is shown (desk/console).
package jobs
