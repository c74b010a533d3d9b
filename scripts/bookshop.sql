-- A small bookshop: 500 customers, 300 books, 4000 orders of one to five lines each. The same on
-- every run: what looks random is computed from the row's number.
BEGIN;

CREATE TABLE author (id INTEGER PRIMARY KEY, name TEXT NOT NULL);
CREATE TABLE book (
  id INTEGER PRIMARY KEY,
  author_id INTEGER NOT NULL REFERENCES author,
  title TEXT NOT NULL,
  price_cents INTEGER NOT NULL CHECK (price_cents > 0)
);
CREATE TABLE customer (id INTEGER PRIMARY KEY, name TEXT NOT NULL, city TEXT NOT NULL);
CREATE TABLE purchase (
  id INTEGER PRIMARY KEY,
  customer_id INTEGER NOT NULL REFERENCES customer,
  day TEXT NOT NULL
);
CREATE TABLE purchase_line (
  purchase_id INTEGER NOT NULL REFERENCES purchase,
  line INTEGER NOT NULL,
  book_id INTEGER NOT NULL REFERENCES book,
  copies INTEGER NOT NULL,
  PRIMARY KEY (purchase_id, line)
) WITHOUT ROWID;
CREATE INDEX purchase_by_customer ON purchase (customer_id, day);
CREATE INDEX line_by_book ON purchase_line (book_id);

CREATE TEMP TABLE word (kind TEXT, nr INTEGER, word TEXT);
INSERT INTO word VALUES
  ('first', 0, 'Ada'), ('first', 1, 'Bruno'), ('first', 2, 'Chiara'), ('first', 3, 'Dmitri'),
  ('first', 4, 'Elif'), ('first', 5, 'Farid'), ('first', 6, 'Grace'), ('first', 7, 'Hugo'),
  ('first', 8, 'Ines'), ('first', 9, 'Jun'),
  ('last', 0, 'Almeida'), ('last', 1, 'Berg'), ('last', 2, 'Costa'), ('last', 3, 'Duarte'),
  ('last', 4, 'Eriksen'), ('last', 5, 'Fontaine'), ('last', 6, 'Gruber'),
  ('city', 0, 'Lisbon'), ('city', 1, 'Zürich'), ('city', 2, 'Kraków'), ('city', 3, 'Bergen'),
  ('city', 4, 'Lyon'), ('city', 5, 'İzmir'), ('city', 6, 'Graz'), ('city', 7, 'Gent'),
  ('what', 0, 'A History'), ('what', 1, 'The Garden'), ('what', 2, 'Letters'),
  ('what', 3, 'The Arithmetic'), ('what', 4, 'An Atlas'), ('what', 5, 'Eleven Stories'),
  ('of', 0, 'of Rivers'), ('of', 1, 'of Small Machines'), ('of', 2, 'of the North'),
  ('of', 3, 'of Lost Trains'), ('of', 4, 'of Bread'), ('of', 5, 'of Winter'),
  ('of', 6, 'of Clocks');
CREATE UNIQUE INDEX temp.word_by_nr ON word (kind, nr);

WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 60)
INSERT INTO author
  SELECT i, (SELECT word FROM word WHERE kind = 'first' AND nr = i * 7 % 10) || ' '
         || (SELECT word FROM word WHERE kind = 'last' AND nr = i * 3 % 7)
  FROM n;

WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 300)
INSERT INTO book
  SELECT i, 1 + i * 37 % 60,
         (SELECT word FROM word WHERE kind = 'what' AND nr = i * 5 % 6) || ' '
         || (SELECT word FROM word WHERE kind = 'of' AND nr = i * 11 % 7) || ', volume '
         || (1 + i / 42),
         490 + i * 7919 % 4200
  FROM n;

WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 500)
INSERT INTO customer
  SELECT i, (SELECT word FROM word WHERE kind = 'first' AND nr = i * 3 % 10) || ' '
         || (SELECT word FROM word WHERE kind = 'last' AND nr = i * 5 % 7),
         (SELECT word FROM word WHERE kind = 'city' AND nr = i * 7919 / 13 % 8)
  FROM n;

WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 4000)
INSERT INTO purchase
  SELECT i, 1 + i * 7907 % 500, date('2025-01-01', (i * 365 / 4000) || ' days') FROM n;

WITH RECURSIVE line(l) AS (SELECT 1 UNION ALL SELECT l + 1 FROM line WHERE l < 5)
INSERT INTO purchase_line
  SELECT id, l, 1 + (id * 6151 + l * 733) % 300, 1 + (id + l) % 3
  FROM purchase JOIN line ON l <= 1 + id * 31 % 5;

CREATE VIEW revenue_by_city AS
  SELECT city, count(DISTINCT purchase.id) AS purchases, sum(copies * price_cents) / 100 AS euros
  FROM purchase_line
  JOIN purchase ON purchase.id = purchase_id
  JOIN customer ON customer.id = customer_id
  JOIN book ON book.id = book_id
  GROUP BY city;

COMMIT;
