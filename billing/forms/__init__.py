"""What people type into the pages of billing, read and refused with a sentence that says what to do."""
