-- What the maker told of a card (sealed), and what names its management key, so that no
-- two cards share one.
ALTER TABLE card_card ADD COLUMN given BYTEA NOT NULL DEFAULT '';
ALTER TABLE card_card ADD COLUMN given_mac BYTEA NOT NULL DEFAULT '';
-- How many wrong PINs in a row lock the card; 0 where it did not tell.
ALTER TABLE card_card ADD COLUMN lock_after BIGINT NOT NULL DEFAULT 10;
-- The certificate of another house on a card that was personalised elsewhere.
ALTER TABLE card_card ADD COLUMN brought BYTEA NOT NULL DEFAULT '';
ALTER TABLE card_card ADD COLUMN fingerprint TEXT NOT NULL DEFAULT '';
CREATE INDEX card_card_fingerprint ON card_card (fingerprint);
