CREATE TABLE directory_past_mail (
	number IDENTITY PRIMARY KEY,
	person TEXT NOT NULL REFERENCES directory_person (id),
	address TEXT NOT NULL,
	until BIGINT NOT NULL
);
CREATE INDEX directory_past_mail_person ON directory_past_mail (person, number);
