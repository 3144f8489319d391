"""Makes every part of the pages that could go out of date: ``make docs``."""
