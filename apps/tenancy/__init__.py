"""Who there is: tenants, their sites, and what each user may do and see."""
