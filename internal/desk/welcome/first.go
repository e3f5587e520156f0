package welcome

import (
	"net/http"

	"seimon/internal/diagnosis"
	"seimon/internal/web"
)

// firstPage is what stands at the gate's own address.
type firstPage struct {
	view
	Outage *diagnosis.Advice
}

func (x *Welcome) first(w http.ResponseWriter, r *http.Request) error {
	page := &firstPage{}
	var err error
	if page.Outage, err = x.mailOutage(r); err != nil {
		return err
	}
	return x.narrow(w, r, web.View{Template: "welcome.first", Data: page})
}
