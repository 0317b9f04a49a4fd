"""Turn sales in square metres and rupiah into the columns that `phase1 train` reads. Change it for your city."""

import sys

import pandas as pd

SQFT_PER_M2 = 10.7639
# One rate for all years: with the day's rate the model would learn the currency market too.
IDR_PER_USD = 16_000

theirs = pd.read_csv(sys.argv[1])
ours = pd.DataFrame(
    {
        "sale_date": pd.to_datetime(theirs["tanggal"], format="%d/%m/%Y").dt.date,
        "price": theirs["harga_idr"] / IDR_PER_USD,
        "land_area_sqft": theirs["luas_tanah_m2"] * SQFT_PER_M2,
        "bedrooms": theirs["kamar_tidur"],
        "living_area_sqft": theirs["luas_bangunan_m2"] * SQFT_PER_M2,
        "bathrooms": theirs["kamar_mandi"],
        "neighborhood": theirs["kecamatan"],
    }
)
ours.to_csv(sys.argv[2], index=False)
