-- PostgreSQL leaves room on the pages of books from here on; SQLite changes rows in place.
SELECT 1;
