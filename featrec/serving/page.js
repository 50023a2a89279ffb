// The behaviour of the page.
