"""How lines are worded: the table that ships, an operator's file over it, and what they say of one record."""
