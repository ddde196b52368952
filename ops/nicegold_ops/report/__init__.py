"""What a run came to: trades, statistics, and the page that shows them."""
