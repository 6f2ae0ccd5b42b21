"""What commands leave behind: result files and tables."""
