"""The languages clients speak: what they ask, as a chat request; what they are answered, written in their own words."""
