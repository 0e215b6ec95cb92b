"""`featherweight search`: find networks under hard budgets, and compare them honestly."""
