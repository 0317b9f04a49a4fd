module rollcheck

go 1.26
