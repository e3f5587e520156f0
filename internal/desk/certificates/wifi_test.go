package certificates_test

import "seimon/internal/desk/certificates"

func network(r *certificates.Rooms) {}
