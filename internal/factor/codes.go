package factor

// The codes that the kinds below raise, with their facts. Times are RFC 3339 in
// UTC, seconds and counts decimal, flags "yes" or absent; facts in brackets may be
// missing.
//
//	P1            [full_width] [kana] [caps_lock]     flags from the typed text alone
//	P3            changed
//	P8.short P8.breached P8.expired                    as Verified.MustChange
//	P9.empty P9.mismatch P9.characters P9.same P9.race a new password is refused
//	P9.short      minimum length
//	P9.long       maximum
//	P9.common P9.walk P9.repeat P9.person P9.university P9.date
//	O1.busy                                            too many hashes are waiting
//
//	T1            device registered                    wrong code; the caller adds tries
//	T1.form       digits                               what was typed is not a code of so many digits
//	T1.enroll     [device]                             wrong code while registering
//	T2            [device] seconds direction [browser] direction is "slow" or "fast"; browser: the PC's own error in seconds, signed
//	T3            device seconds                       used already; the next code comes in so many seconds
//	T4            device registered [current]          an older registration (device, registered) of which current took the place
//	T5            begun                                registration never confirmed
//	T5.lost                                            the registration that was to be confirmed is gone: begin again
//	T8            maximum                              as many devices as the rule allows
//
//	M1.wait       seconds to                           another mail may be asked for in so many seconds
//	M1.refused    to reply                             asked again too soon, and the other server did not take the first mail
//	M1.none                                            no address was verified
//	M2                                                 a code of another window, or one that a newer mail has just replaced
//	M2.wrong      to sent [state] [handed] [reply]     not the code that was sent
//	M2.form       digits                               what was typed is not a code of so many digits
//	M2.expired    to sent expired
//	M2.older      to sent                              a code of before; sent is when the newest went out
//	M2.used       used
//	M3            domain                               the mailbox is behind this sign-in
//	M3.form                                            not a mail address
//	M3.taken      to                                   the address is registered for this account already
//	M3.full       maximum                              as many addresses as one account may have
