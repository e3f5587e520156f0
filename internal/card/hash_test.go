package card_test

import "crypto"

const sha256 = crypto.SHA256
